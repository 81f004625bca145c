/** Keeps a board as it is: what changed within a second, the clock, and a warning where nothing comes any more. */
const AGAIN_SECONDS = 3;
const LOST_SECONDS = 45; // an answer takes 25 at most
const lost = document.querySelector("#lost");
const clock = document.querySelector("#clock");
const { zone: timeZone, country } = clock.dataset;
let heard = performance.now();
// The screen's own clock may be wrong.
const ahead = () => Date.parse(document.querySelector("#live").dataset.now) - performance.now();
let began = ahead();

const rest = (seconds) => new Promise((resolve) => setTimeout(resolve, seconds * 1000));
const ask = async () => {
  const live = document.querySelector("#live");
  const query = new URLSearchParams(location.search);
  query.set("after", live.dataset.version);
  const answer = await fetch(`${location.pathname.replace(/\/$/, "")}/news?${query}`, {
    signal: AbortSignal.timeout(LOST_SECONDS * 1000),
  });
  if (answer.status === 404) location.reload(); // the key was renewed
  if (!answer.ok) throw new Error(answer.status);
  heard = performance.now();
  if (answer.status !== 200) return;
  const next = new DOMParser().parseFromString(await answer.text(), "text/html").querySelector("#live");
  live.replaceWith(next);
  began = ahead();
};
const follow = async () => {
  for (;;) {
    try {
      await ask();
    } catch {
      await rest(AGAIN_SECONDS);
    }
  }
};

const locale = `en-${country}`;
const time = new Intl.DateTimeFormat(locale, { timeZone, hour: "numeric", minute: "2-digit", hour12: true });
const day = new Intl.DateTimeFormat(locale, { timeZone, weekday: "short", day: "numeric", month: "short" });
const tick = () => {
  const now = new Date(began + performance.now());
  clock.textContent = time.format(now).toLowerCase();
  document.querySelector("#day").textContent = day.format(now).replace(",", "");
  lost.hidden = performance.now() - heard < LOST_SECONDS * 1000;
};
setInterval(tick, 1000);
follow();
