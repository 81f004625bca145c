// Counts down to instants of the server's clock, and is right again after sleep, since nothing is counted but read.

// How far the server's clock is ahead of this device's. A page that going back took out of the cache was made some time
// ago, when is not known: what was found out last is good enough there.
function serverOffset() {
  const navigation = performance.getEntriesByType("navigation")[0];
  const madeAt = document.documentElement.dataset.now;
  if (!madeAt || navigation.type === "back_forward") return Number(sessionStorage.getItem("server-offset"));
  const offset = Date.parse(madeAt) - (performance.timeOrigin + navigation.responseStart);
  sessionStorage.setItem("server-offset", offset);
  return offset;
}

const offset = serverOffset();

/** What time it is at the server, in milliseconds since 1970. */
export function serverNow() {
  return Date.now() + offset;
}

/** "4:52", never below "0:00". */
export function minutes(milliseconds) {
  const seconds = Math.max(0, Math.round(milliseconds / 1000));
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
}

/** Call `show` with the milliseconds left until `until`, by the server's clock: every second, at once after sleep, and last when none are left. */
export function countDown(until, show) {
  let timer;
  function tick() {
    clearTimeout(timer);
    const left = until - serverNow();
    show(Math.max(0, left));
    if (left > 0) timer = setTimeout(tick, (left % 1000) || 1000);
  }
  document.addEventListener("visibilitychange", tick);
  addEventListener("pageshow", tick);
  tick();
}

/** Have an element count down as ui.countdown made it; what is tied to it changes when its time is over. */
export function follow(element) {
  const name = element.dataset.countdown;
  const figure = element.querySelector("b");
  countDown(Date.parse(element.dataset.until), (left) => {
    figure.textContent = minutes(left);
    if (left > 0) return;
    for (const shown of document.querySelectorAll(`[data-while="${name}"]`)) shown.hidden = true;
    for (const shown of document.querySelectorAll(`[data-over="${name}"]`)) shown.hidden = false;
  });
}

document.querySelectorAll("[data-countdown]").forEach(follow);
