// Shows what another tab, the bank or time has done to the hold, and says aloud, rarely, how much time is left.
import { poll } from "./connection.js";
import { countDown } from "./countdown.js";

const SPOKEN_AT = [300, 120, 60, 30];

const hold = document.getElementById("hold");
const spoken = document.getElementById("spoken");
const until = document.querySelector("[data-countdown='hold']")?.dataset.until;
const ring = document.getElementById("ring");
const hurry = document.getElementById("hurry");
const HELD_FOR = 300_000;
const LAST = 60;

if (until) {
  let said = Infinity;
  countDown(Date.parse(until), (left) => {
    ring.style.strokeDashoffset = 100 - Math.min(100, (left / HELD_FOR) * 100);
    const seconds = Math.round(left / 1000);
    if (hurry && seconds <= LAST) {
      hurry.textContent = hurry.dataset.last;
      document.getElementById("strip").classList.add("last");
    }
    if (seconds === 0) {
      spoken.textContent = hold.dataset.over;
      return;
    }
    const mark = SPOKEN_AT.findLast((at) => seconds <= at);
    if (mark === undefined || mark >= said) return;
    // Read only as it is passed, and not when the page is opened later.
    if (seconds > mark - 5) spoken.textContent = hold.dataset.spoken.replace("{time}", `${Math.floor(mark / 60)}:${String(mark % 60).padStart(2, "0")}`);
    said = mark;
  });
}

if (hold) {
  const updates = poll(async (signal) => {
    const answer = await fetch(`${hold.dataset.updates}?after=${hold.dataset.state}`, { signal });
    if (answer.status === 204) return;
    if (answer.status !== 200) throw new Error(answer.status);
    // Another answer than "still so" changes all of the page; what was typed is of no more use. Not reload(), which would
    // send a form again whose answer this page is.
    updates.off();
    location.replace(location.pathname);
  });
}
