// What every page does better with JavaScript, and does without it too: errors take focus; a form that is on its way says so and is
// not sent twice, nor into nothing where there is no network; a button may have to wait for its time; who is elsewhere sees zones.
import { sayNotSent } from "./connection.js";
import { countDown, minutes } from "./countdown.js";

const BUSY_AFTER_MS = 300;

document.getElementById("error")?.focus();

const sending = new Map();

addEventListener("submit", (event) => {
  const button = event.submitter ?? event.target.querySelector("button");
  if (sending.has(event.target) || button?.getAttribute("aria-disabled") === "true") {
    event.preventDefault();
    return;
  }
  if (!navigator.onLine) {
    event.preventDefault(); // the browser's own page would stand in the place of what was typed
    sayNotSent();
    return;
  }
  const text = button?.textContent;
  const timer = setTimeout(() => {
    if (!button?.dataset.busy) return;
    button.setAttribute("aria-disabled", "true");
    button.textContent = button.dataset.busy;
  }, BUSY_AFTER_MS);
  sending.set(event.target, () => {
    clearTimeout(timer);
    if (button?.dataset.busy) {
      button.removeAttribute("aria-disabled");
      button.textContent = text;
    }
  });
});

// After going back the form is as it was, ready to be sent again.
addEventListener("pageshow", (event) => {
  if (!event.persisted) return;
  for (const restore of sending.values()) restore();
  sending.clear();
});

for (const button of document.querySelectorAll("button[data-from]")) {
  const text = button.textContent;
  countDown(Date.parse(button.dataset.from), (left) => {
    if (left > 0) {
      button.setAttribute("aria-disabled", "true");
      button.textContent = button.dataset.later.replace("{time}", minutes(left));
    } else if (button.textContent !== button.dataset.busy) {
      button.removeAttribute("aria-disabled");
      button.textContent = text;
    }
  });
}

// Times are the clinic's. Readers whose clock shows another see its zone beside them: here, and by the cookie from the
// start on the pages to come.
const now = new Date();
const clock = (timeZone) => now.toLocaleString("en", { timeZone });
const zones = new Set(Array.from(document.querySelectorAll("[data-zone]"), (one) => one.dataset.zone));
const isElsewhere = [...zones].some((zone) => clock(zone) !== clock());
const page = document.documentElement;
if (zones.size && isElsewhere !== page.hasAttribute("data-elsewhere")) {
  const age = isElsewhere ? 34_560_000 : 0;
  // biome-ignore lint/suspicious/noDocumentCookie: browsers of three years ago have no other way
  document.cookie = `elsewhere=1; path=/; max-age=${age}; samesite=lax`;
  page.toggleAttribute("data-elsewhere", isElsewhere);
}
