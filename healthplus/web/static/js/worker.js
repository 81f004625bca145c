// Tries one counter after the other until the key derived from it begins as it must (ALTCHA, version 2, PBKDF2 with SHA-256).
const bytesOf = (hex) => Uint8Array.from(hex.match(/../g), (pair) => Number.parseInt(pair, 16));
const hexOf = (buffer) => Array.from(new Uint8Array(buffer), (byte) => byte.toString(16).padStart(2, "0")).join("");

addEventListener("message", async ({ data: { nonce, salt, cost, keyLength, keyPrefix } }) => {
  const password = new Uint8Array([...bytesOf(nonce), 0, 0, 0, 0]);
  const counters = new DataView(password.buffer, password.length - 4);
  const algorithm = { name: "PBKDF2", hash: "SHA-256", salt: bytesOf(salt), iterations: cost };
  for (let counter = 0; counter < 2 ** 32; counter++) {
    counters.setUint32(0, counter);
    const key = await crypto.subtle.importKey("raw", password, "PBKDF2", false, ["deriveBits"]);
    const derivedKey = hexOf(await crypto.subtle.deriveBits(algorithm, key, keyLength * 8));
    if (derivedKey.startsWith(keyPrefix)) {
      postMessage({ counter, derivedKey });
      return;
    }
  }
});
