// Dragging a shift over the week, or over what is empty, fills in a form. Nothing changes before it is sent; forms alone do all.
const SNAP = 15;
const week = document.querySelector(".shift-week");
const days = [...document.querySelectorAll(".shift-day")];
const first = Number(week.dataset.first);
const rowMinutes = Number(week.dataset.rowMinutes);

const clock = (minutes) => `${String(Math.floor(minutes / 60)).padStart(2, "0")}:${String(minutes % 60).padStart(2, "0")}`;
const rows = (day) => day.querySelector(".rows-of-day");
const rowPixels = () => Number.parseFloat(getComputedStyle(rows(days[0])).gridAutoRows);
const toMinutes = (pixels) => Math.round(((pixels / rowPixels()) * rowMinutes) / SNAP) * SNAP;
const dayAt = (x) => days.find((day) => x >= day.getBoundingClientRect().left && x < day.getBoundingClientRect().right);
const minutesAt = (day, y) => first + toMinutes(y - rows(day).getBoundingClientRect().top);
const isGrid = () => getComputedStyle(week).display === "grid";
const go = (url, values) => {
  const target = new URL(url, location.href);
  for (const [name, value] of Object.entries(values)) target.searchParams.set(name, value);
  location.assign(target);
};

// Follow the pointer until it is let go; `moved` gets how far it is, and `end` whether it moved at all.
const follow = (event, moved, end) => {
  const at = { x: event.clientX, y: event.clientY };
  let far = false;
  const move = (now) => {
    far ||= Math.hypot(now.clientX - at.x, now.clientY - at.y) > 6;
    if (far) moved(now.clientX - at.x, now.clientY - at.y);
  };
  const stop = (now) => {
    removeEventListener("pointermove", move);
    removeEventListener("pointerup", stop);
    removeEventListener("pointercancel", stop);
    end(now.type === "pointerup" && far, now);
  };
  addEventListener("pointermove", move);
  addEventListener("pointerup", stop);
  addEventListener("pointercancel", stop);
};

for (const shift of document.querySelectorAll(".shift-week .shift")) {
  shift.draggable = false;
  let dragged = false;
  shift.addEventListener("click", (event) => {
    if (dragged) event.preventDefault();
  });
  shift.addEventListener("pointerdown", (event) => {
    if (event.button !== 0 || event.pointerType === "touch" || !isGrid()) return;
    dragged = false;
    const box = shift.getBoundingClientRect();
    const resizes = box.bottom - event.clientY < 10;
    const [starts, ends] = [Number(shift.dataset.starts), Number(shift.dataset.ends)];
    follow(
      event,
      (x, y) => {
        dragged = true;
        shift.classList.add("dragging");
        if (resizes) shift.style.height = `${Math.max(rowPixels(), box.height + y)}px`;
        else shift.style.translate = `${x}px ${y}px`;
      },
      (isDone, now) => {
        shift.classList.remove("dragging");
        shift.style.height = "";
        shift.style.translate = "";
        const by = toMinutes(now.clientY - event.clientY);
        const day = dayAt(now.clientX);
        if (!isDone || !day) return;
        const length = ends - starts;
        const from = resizes ? starts : Math.min(Math.max(0, starts + by), 1440 - length);
        const to = resizes ? Math.min(Math.max(starts + SNAP, ends + by), 1440) : from + length;
        go(shift.href, { weekday: resizes ? shift.closest(".shift-day").dataset.weekday : day.dataset.weekday, starts: clock(from), ends: clock(to) });
      },
    );
  });
}

for (const day of days) {
  rows(day).addEventListener("pointerdown", (event) => {
    if (event.button !== 0 || event.pointerType === "touch" || event.target !== rows(day) || !isGrid()) return;
    const from = minutesAt(day, event.clientY);
    follow(
      event,
      () => {},
      (isDone, now) => {
        const to = minutesAt(day, now.clientY);
        if (!isDone || to <= from) return;
        go(week.dataset.add, { [`day_${day.dataset.weekday}`]: "1", starts: clock(from), ends: clock(to) });
      },
    );
  });
}

// "n": a new shift.
addEventListener("keydown", (event) => {
  if (event.key !== "n" || event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, select, textarea")) return;
  document.getElementById("day_1").focus();
  event.preventDefault();
});
