// Works out the seals of a queue's lines here, from what anybody can fetch, as healthplus/waiting/receipts.py does.
const button = document.getElementById("check");
const said = document.getElementById("checked");
const words = button.dataset;

async function seal(before, line) {
  const parts = [line.entry, line.at, line.kind, line.ticket, line.clinic_id ?? "", line.from ?? "", line.to ?? "", line.slots];
  if (line.leader !== null) parts.push(line.leader);
  const text = new TextEncoder().encode([words.provider, ...parts].join("|"));
  const bytes = (before.match(/../g) ?? []).map((two) => Number.parseInt(two, 16));
  const sum = await crypto.subtle.digest("SHA-256", new Uint8Array([...bytes, ...text]));
  return Array.from(new Uint8Array(sum), (one) => one.toString(16).padStart(2, "0")).join("");
}

async function check() {
  let before = "";
  let count = 0;
  let chain = { next: words.address };
  while (chain.next) {
    const answer = await fetch(chain.next, { cache: "no-store" });
    if (!answer.ok) throw new Error(answer.status);
    chain = await answer.json();
    for (const line of chain.entries) {
      count += 1;
      if (line.entry !== count || line.hash !== (await seal(before, line))) return words.broken.replace("{line}", count);
      before = line.hash;
    }
  }
  if (count !== chain.last || before !== chain.head) return words.broken.replace("{line}", count + 1);
  return words.fits.replace("{count}", count);
}

button.hidden = !globalThis.crypto?.subtle; // only where the page came over https, or from this machine
button.addEventListener("click", async () => {
  said.textContent = words.busyText;
  said.textContent = await check().catch(() => words.failed);
});
