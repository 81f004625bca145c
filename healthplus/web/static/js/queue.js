// Keeps the page of a ticket up to date. It never leads to another page by itself.
import { areOn, hush, ring, sample, turnOff } from "./alerts.js";
import { countDown, follow, minutes, serverNow } from "./countdown.js";
import { followTicket } from "./ticket.js";

const SAY_EVERY = 30_000;
const STILL_EVERY = 300_000;

const page = document.getElementById("wait");
const words = page.dataset;
const say = document.getElementById("say");
const connection = document.getElementById("connection");
const button = document.getElementById("alert");

let { state, position } = words;
let isLost = false;
let isOver = false;

// What is read aloud: changes of the number, at most every 30 s; after 5 minutes without one, that it is unchanged.

let saidAt = Date.now();
let toSay = "";

function speak(text) {
  saidAt = Date.now();
  toSay = "";
  say.textContent = text;
}

function speakWhenDue() {
  const since = Date.now() - saidAt;
  if (toSay && since >= SAY_EVERY) speak(toSay);
  else if (state === "waiting" && since >= STILL_EVERY) speak(words.still.replace("{num}", position));
}

// What is shown.

function showMinutes() {
  for (const element of page.querySelectorAll("[data-within]")) {
    const left = Math.max(1, Math.ceil((Date.parse(element.dataset.within) - serverNow()) / 60_000));
    const text = element.textContent.replace(/\d+/, left);
    if (text !== element.textContent) element.textContent = text;
  }
}

function apply(html) {
  const fresh = document.createElement("template");
  fresh.innerHTML = html;
  const focused = document.activeElement;
  for (const shown of fresh.content.querySelectorAll("[data-shown]")) {
    const old = page.querySelector(`[data-shown="${shown.dataset.shown}"]`);
    if (!old.firstElementChild) old.innerHTML = shown.innerHTML;
    old.hidden = shown.hidden;
  }
  for (const part of fresh.content.querySelectorAll("[data-part]")) {
    const old = page.querySelector(`[data-part="${part.dataset.part}"]`);
    if (part.dataset.is ? part.dataset.is === old.dataset.is : part.innerHTML === old.innerHTML) continue;
    old.innerHTML = part.innerHTML;
    if (part.dataset.is) old.dataset.is = part.dataset.is;
    old.querySelectorAll("[data-countdown]").forEach(follow);
  }
  if (focused?.isConnected === false || focused?.closest("[hidden]")) page.querySelector("h1:not([hidden] *)")?.focus();
}

/** Whether the patient is to do something now: a time is offered to them, or they are asked about one. */
function isTurn() {
  return state === "offered" || state === "called";
}

/** While a time is offered the title counts down, since of a tab behind others only that is seen; and so does the ring. */
function countInTitle(title) {
  const timer = page.querySelector("#turn [data-countdown]");
  if (!timer) return;
  const ring = page.querySelector("#turn .left-of-it");
  countDown(Date.parse(timer.dataset.until), (left) => {
    if (!timer.isConnected) return;
    ring.setAttribute("stroke-dasharray", `${Math.min(60, left / 1000)} 60`);
    document.title = left > 0 ? (state === "called" ? words.call : words.turn).replace("{time}", minutes(left)) : title;
  });
}

function showConnected() {
  const hint = page.querySelector("#live-hint");
  if (hint) hint.hidden = isLost || isOver;
}

function show(update, wasLost) {
  if (wasLost) {
    isLost = false;
    connection.textContent = "";
    speak(words.back);
  }
  if (update.html) {
    const before = state;
    ({ state, position } = update);
    apply(update.html);
    document.title = `${update.title} – HealthPlus`;
    button.classList.toggle("quiet", isTurn() || areOn());
    if (isTurn()) countInTitle(document.title);
    if (state !== before) {
      if (isTurn()) ring();
      else hush();
      // Of a turn nothing: its band is an alert, and the number of before is to be read no more.
      if (state !== "waiting") speak(update.say);
    }
    if (state === "waiting" && update.say !== words.said) {
      toSay = words.said = update.say;
      setTimeout(speakWhenDue, Math.max(0, saidAt + SAY_EVERY - Date.now()));
    }
  }
  showConnected();
  showMinutes();
  speakWhenDue();
}

followTicket({
  ticket: words.ticket,
  address: words.updates,
  kind: `page ${document.documentElement.lang}`,
  version: words.version,
  state,
  show,
  lost() {
    isLost = true;
    connection.textContent = words.lost;
    showConnected();
  },
  signedOut() {
    isOver = true;
    connection.textContent = words.signedOut;
    showConnected();
  },
});
for (const event of ["visibilitychange", "pageshow", "online"]) addEventListener(event, showMinutes);

const buttonLabel = button.querySelector("span");
const buttonText = buttonLabel.textContent;
function showAlerts() {
  buttonLabel.textContent = areOn() ? words.on : buttonText;
  button.classList.toggle("quiet", areOn() || isTurn());
}
button.addEventListener("click", () => {
  if (areOn()) turnOff();
  else sample();
  showAlerts();
});
showAlerts();

connection.dataset.offline = words.lost;
showConnected();
countInTitle(document.title);
setInterval(showMinutes, 15_000);
