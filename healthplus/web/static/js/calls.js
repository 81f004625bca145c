/** Callers whose turn it is: keys, how long is left, and a word when one comes. */
import { minutes, serverNow } from "./countdown.js";

const title = document.title;
const said = document.createElement("p");
said.className = "hidden-text";
said.setAttribute("role", "alert");
document.querySelector("main").append(said);
const known = new Set([...document.querySelectorAll("[data-call]")].map((call) => call.dataset.call));

const look = () => {
  for (const timer of document.querySelectorAll("[data-left]")) {
    timer.textContent = minutes(Date.parse(timer.dataset.left) - serverNow());
  }
  const calls = [...document.querySelectorAll("[data-call]")];
  const fresh = calls.filter((call) => !known.has(call.dataset.call));
  for (const call of fresh) known.add(call.dataset.call);
  if (fresh.length) said.textContent = fresh[0].querySelector("p").textContent;
  // Of a tab behind others only the title is seen.
  const timer = document.querySelector("[data-left]");
  document.title = timer ? `${timer.textContent} ${document.querySelector("#calls-title").textContent}` : title;
};
look();
setInterval(look, 1000);

document.addEventListener("keydown", (event) => {
  const { key, target } = event;
  if (event.altKey || event.ctrlKey || event.metaKey || event.repeat || target.closest("input, select, textarea")) return;
  // On a patient's row this key means them.
  if (key === "x" && target.closest(".day-row")) return;
  const call = target.closest(".turn-now") ?? document;
  call.querySelector(`[data-call-key="${CSS.escape(key)}"]`)?.click();
});
