/** Keys of "who is it?" and of phone bookings: digits choose, + adds somebody, d is another doctor, Enter goes on. */
document.addEventListener("keydown", (event) => {
  if (event.altKey || event.ctrlKey || event.metaKey || event.repeat) return;
  const { key, target } = event;
  const types = target.matches("textarea, input:not([type=radio], [type=checkbox])");
  if (key === "Enter" && target.matches("select, [type=checkbox]")) {
    target.form.requestSubmit();
  } else if (key === "Escape") {
    document.querySelector("[data-page-key=Escape]")?.click();
  } else if (key === "n" && !types) {
    document.querySelector("#q")?.focus();
  } else if (types || target.matches("select")) {
    return;
  } else if (key === "+") {
    const fresh = document.querySelector("#new");
    if (!fresh) return;
    fresh.open = true;
    fresh.querySelector("#name").focus();
  } else if (key === "d") {
    const doctor = document.querySelector("#provider");
    if (!doctor) return;
    doctor.closest("details").open = true;
    doctor.focus();
  } else {
    const choice = document.querySelector(`[data-digit="${CSS.escape(key)}"]`);
    if (!choice) return;
    choice.focus();
    choice.click();
  }
  event.preventDefault();
});
