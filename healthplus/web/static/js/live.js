// Keeps the bar of a patient who waits up to date, on every page but the queue's own: by the page's own poll where it has one.
import { hush, ring } from "./alerts.js";
import { shareWith } from "./connection.js";
import { countDown, follow, minutes } from "./countdown.js";
import { followTicket, rest, shownVersion, take } from "./ticket.js";

const SAY_EVERY = 30_000;

const bar = document.getElementById("live");
const words = bar.dataset;
const say = bar.querySelector("[role=status]");
const title = document.title;
const [provider, , ticket] = words.wait.split("/");
let { state } = words;
let saidAt = Date.now();
let toSay = "";

function isTurn() {
  return state === "offered" || state === "called";
}

function speak() {
  if (!toSay || (state === "waiting" && Date.now() - saidAt < SAY_EVERY)) return;
  saidAt = Date.now();
  say.textContent = toSay;
  toSay = "";
}

/** While a time is offered the title counts down, since of a tab behind others only that is seen. */
function countInTitle() {
  document.title = title;
  const timer = bar.querySelector("[data-countdown]");
  if (!timer || !isTurn()) return;
  countDown(Date.parse(timer.dataset.until), (left) => {
    if (!timer.isConnected) return;
    document.title = left > 0 ? (state === "called" ? words.call : words.turn).replace("{time}", minutes(left)) : title;
  });
}

function show({ html, state: now, say: text }) {
  if (!html) return speak();
  const fresh = document.createElement("template");
  fresh.innerHTML = html;
  const { className, firstElementChild } = fresh.content.querySelector("aside");
  const shown = bar.querySelector(".width");
  const before = state;
  state = now;
  // Its key, of which each form has another, is no change.
  if (className === bar.className && firstElementChild.textContent === shown.textContent) return;
  const hadFocus = shown.contains(document.activeElement);
  bar.className = className;
  shown.replaceWith(firstElementChild);
  firstElementChild.querySelectorAll("[data-countdown]").forEach(follow);
  if (hadFocus) firstElementChild.querySelector(":is(a, button):not([hidden] *)")?.focus();
  if (state !== before) {
    countInTitle();
    if (isTurn()) ring();
    else hush();
  }
  toSay = text;
  speak();
}

shareWith({ query: () => `&waits=${provider}/${ticket}/${shownVersion()}`, take, rest });
followTicket({
  ticket,
  address: `${words.prefix}/doctor/${words.wait}/news?bar=true`,
  kind: `bar ${document.documentElement.lang}`,
  version: "",
  state,
  show,
  lost() {},
  signedOut() {},
});
countInTitle();
setInterval(speak, SAY_EVERY);
