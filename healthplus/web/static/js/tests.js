// Adds the chosen tests up as they are chosen, and finds tests by what is typed: those that are chosen stay.
const form = document.getElementById("choose");
const sum = document.getElementById("sum");
const say = sum.dataset;
const rows = [...form.querySelectorAll("li")];
const boxOf = (row) => row.querySelector("input");
const nameOf = (box) => box.closest("li").querySelector("[data-name]").textContent;
const fill = (text, values) => text.replace(/\{(\w+)\}/g, (_, name) => values[name]);

function amount(minor) {
  const money = { style: "currency", currency: say.currency };
  // The product's decimals: the browser's may be others, as of IQD.
  const units = minor / 10 ** say.digits;
  const digits = Number.isInteger(units) ? 0 : Number(say.digits);
  const fraction = { minimumFractionDigits: digits, maximumFractionDigits: digits };
  return new Intl.NumberFormat(`${document.documentElement.lang}-${say.country}`, { ...money, ...fraction }).format(units);
}

// As services.html has it: what the clinic asks is not known here.
function total(boxes) {
  const minor = boxes.reduce((fees, box) => fees + Number(box.dataset.fee), 0);
  const isAsked = boxes.some((box) => box.dataset.funding === "clinic" && !Number(box.dataset.fee));
  if (!minor) return isAsked ? say.asked : say.free;
  return isAsked ? fill(say.andAsked, { amount: amount(minor) }) : amount(minor);
}

function add() {
  const chosen = rows.map(boxOf).filter((box) => box.checked);
  const count = chosen.length;
  const most = Number(form.dataset.most);
  let text = say.none;
  if (count > most) text = fill(say.tooMany, { count: most });
  else if (count) text = fill(count === 1 ? say.one : say.many, { count, name: nameOf(chosen[0]), amount: total(chosen) });
  if (sum.textContent !== text) sum.textContent = text;
}

function find(text) {
  const words = text.toLowerCase().split(/\s+/);
  let found = 0;
  for (const row of rows) {
    const shown = row.querySelector("[data-name]");
    // By its English name, too: many type that, whatever language they read.
    const name = `${shown.textContent} ${shown.dataset.name}`.toLowerCase();
    const matches = words.every((word) => name.includes(word));
    row.hidden = !(matches || boxOf(row).checked);
    found += matches;
  }
  document.getElementById("none-found").hidden = found > 0;
  const told = document.getElementById("found");
  told.textContent = fill(found === 1 ? told.dataset.one : told.dataset.many, { count: found });
}

form.addEventListener("change", add);
addEventListener("pageshow", add);
add();
document.getElementById("test")?.addEventListener("input", (event) => find(event.target.value));
