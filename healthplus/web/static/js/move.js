// Says below the times from when to when an appointment is moved.
const form = document.getElementById("move");

if (form) {
  const change = document.getElementById("change");
  const show = () => {
    const chosen = form.querySelector(".slot.free :checked");
    if (chosen) change.textContent = form.dataset.change.replace("{time}", chosen.dataset.from);
  };
  form.addEventListener("change", show);
  addEventListener("pageshow", show);
}
