// Keeps a chart up to date: texts and classes of what is there change, and nothing comes, goes or moves.
import { guestQuery, poll, toGuest } from "./connection.js";
import { serverNow } from "./countdown.js";

const ANNOUNCE_EVERY = 30_000;

const form = document.getElementById("chart");

if (form) {
  const say = form.dataset;
  const slots = [...form.querySelectorAll(".slot")];
  const announced = document.getElementById("told");
  const changed = document.getElementById("changed");
  const bar = form.querySelector(".bar");
  const button = bar.querySelector("button");
  const pause = document.getElementById("pause");
  const fill = (text, values) => text.replace(/\{(\w+)\}/g, (_, name) => values[name]);
  const chosen = () => form.querySelector(".slot :checked");
  const stateOf = (slot) => ["free", "short", "held", "booked", "mine"].find((state) => slot.classList.contains(state));

  // The half of the day is said once: where it stands behind, with the end, else with the start.
  function span({ from, dial }, to) {
    const half = from.replace(dial, "");
    if (!half || !to.includes(half)) return { from, to };
    return from.startsWith(dial) ? { from: dial, to } : { from, to: to.replace(half, "") };
  }

  function showChosen() {
    const radio = chosen();
    if (!radio) return;
    const at = slots.indexOf(radio.closest(".slot"));
    const run = slots.slice(at, at + Number(say.slots));
    const to = run.at(-1).querySelector("[data-to]")?.dataset.to ?? radio.dataset.to;
    const isTaken = run[0].classList.contains("taken");
    document.getElementById("chosen").textContent = isTaken
      ? fill(say.toldTaken, { time: radio.dataset.from })
      : fill(say.run, span(radio.dataset, to));
    document.getElementById("chosen-day").hidden = isTaken; // the bar keeps its height
    button.textContent = bar.matches("[data-signed-out]")
      ? fill(say.holdFirst, { time: radio.dataset.from })
      : fill(say.hold, { time: radio.dataset.dial });
  }

  function showMinutes() {
    for (const slot of slots) {
      if (!slot.matches(".held:not(.taken)")) continue;
      // A second less: clocks differ a little, and a hold of five minutes is never one of six.
      const left = Date.parse(slot.dataset.heldUntil) - serverNow() - 1000;
      const text = left > 0 ? fill(say.heldFor, { minutes: Math.ceil(left / 60_000) }) : say.held;
      set(slot.querySelector(".state"), text);
    }
  }

  function set(element, text) {
    if (element.textContent !== text) element.textContent = text;
  }

  let announcedAt = 0;
  function announce(text, isUrgent = false) {
    if (!isUrgent && Date.now() - announcedAt < ANNOUNCE_EVERY) return;
    announcedAt = Date.now();
    announced.textContent = text;
  }

  function show(update) {
    say.version = update.version;
    if (update.shape !== say.shape) {
      changed.hidden = false;
      document.getElementById("join").hidden = true;
      return;
    }
    let isNewlyFree = false;
    update.cells.forEach((state, at) => {
      const slot = slots[at];
      if (update.held_until[at]) slot.dataset.heldUntil = update.held_until[at];
      else delete slot.dataset.heldUntil;
      if (state === stateOf(slot)) return;
      const radio = slot.querySelector("input");
      const isTaken = Boolean(radio?.checked) && state !== "free" && state !== "mine";
      if (isTaken) announce(fill(say.toldTaken, { time: radio.dataset.from }), true);
      isNewlyFree ||= state === "free" && !radio;
      slot.className = `slot ${state}${isTaken ? " taken" : ""}`;
      set(slot.querySelector(".state"), isTaken ? say.taken : say[state]);
    });
    form.querySelectorAll("[data-of-part]").forEach((left, at) => {
      const text = update.free[at] ? say.left : update.held[at] ? say.leftHeld : say.full;
      set(left, fill(text, { count: update.free[at] || update.held[at] }));
    });
    document.querySelectorAll(".week a.count").forEach((day, at) => {
      set(day.querySelector("[data-count]"), String(update.week[at] || say.full));
      day.classList.toggle("zero", update.week[at] === 0);
    });
    const free = update.free.reduce((sum, count) => sum + count, 0);
    if (isNewlyFree) changed.hidden = false;
    // There is room for one of them.
    document.getElementById("join").hidden = free > 0 || !changed.hidden || !update.cells.includes("held");
    announce(fill(say.told, { count: free }));
    showMinutes();
    showChosen();
  }

  form.addEventListener("change", () => {
    for (const slot of form.querySelectorAll(".taken")) {
      slot.classList.remove("taken");
      set(slot.querySelector(".state"), say[stateOf(slot)]);
    }
    showChosen();
  });
  const updates = poll(async (signal) => {
    const answer = await fetch(`${say.updates}&after=${say.version}${guestQuery()}`, { signal });
    if (answer.status === 200) {
      const update = await answer.json();
      if (update.turn) toGuest(update.turn);
      else show(update);
    } else if (answer.status !== 204) throw new Error(answer.status);
  });
  let isPaused = false;
  pause.hidden = false;
  const pauseText = pause.textContent;
  pause.addEventListener("click", () => {
    isPaused = !isPaused;
    pause.textContent = isPaused ? pause.dataset.goOn : pauseText;
    if (isPaused) updates.off();
    else updates.on();
  });
  // A page that going back shows again is as it was when it was left, also where its hold was made.
  addEventListener("pageshow", showChosen);
  setInterval(showMinutes, 5000);
  showMinutes();
}
