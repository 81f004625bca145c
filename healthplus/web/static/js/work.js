// Solves the challenge that a code costs, in a worker, and sends the form; where that cannot be done, the form waits for its time.
const form = document.getElementById("work");
const proof = form.elements.namedItem("proof");

// Browsers have crypto.subtle on https and on this machine only.
if (!proof.value && globalThis.crypto?.subtle && "Worker" in globalThis) {
  const challenge = JSON.parse(form.dataset.challenge);
  const worker = new Worker(form.dataset.worker);
  document.getElementById("working").hidden = false;
  worker.addEventListener("message", ({ data: solution }) => {
    proof.value = btoa(JSON.stringify({ challenge, solution }));
    form.submit();
  });
  worker.postMessage(challenge.parameters);
}
