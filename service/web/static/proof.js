// Solves an ALTCHA challenge (version 2, PBKDF2) and sends the form. Without JavaScript, or where the
// browser has no WebCrypto (plain HTTP), the button of the form works after a wait.
"use strict";
(async () => {
  const form = document.querySelector("form[data-challenge]");
  if (!form || !globalThis.crypto?.subtle) return;
  const challenge = JSON.parse(form.dataset.challenge);
  const { parameters } = challenge;
  const AT_ONCE = 16;

  const toBytes = (hex) => Uint8Array.from(hex.match(/../g), (pair) => parseInt(pair, 16));
  const toHex = (bytes) => Array.from(bytes, (b) => b.toString(16).padStart(2, "0")).join("");
  const nonce = toBytes(parameters.nonce);
  const salt = toBytes(parameters.salt);

  const derive = async (counter) => {
    const password = new Uint8Array(nonce.length + 4);
    password.set(nonce);
    new DataView(password.buffer).setUint32(nonce.length, counter);
    const key = await crypto.subtle.importKey("raw", password, "PBKDF2", false, ["deriveBits"]);
    const kind = { name: "PBKDF2", hash: "SHA-256", salt, iterations: parameters.cost };
    const bits = await crypto.subtle.deriveBits(kind, key, parameters.keyLength * 8);
    return toHex(new Uint8Array(bits));
  };

  document.getElementById("waiting").hidden = true;
  document.getElementById("solving").hidden = false;
  const progress = form.querySelector("progress");
  for (let first = 0; first <= parameters.data.most; first += AT_ONCE) {
    const counters = Array.from({ length: AT_ONCE }, (_, number) => first + number);
    const keys = await Promise.all(counters.map(derive));
    const found = keys.findIndex((key) => key.startsWith(parameters.keyPrefix));
    if (found >= 0) {
      const solution = { counter: counters[found], derivedKey: keys[found] };
      form.elements.altcha.value = btoa(JSON.stringify({ challenge, solution }));
      form.submit();
      return;
    }
    progress.value = (100 * first) / parameters.data.most;
  }
  document.getElementById("solving").hidden = true;
  document.getElementById("waiting").hidden = false;
})();
