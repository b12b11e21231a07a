// Shows what a topic would bring while it is typed. Without it the Preview button does the same.
"use strict";
(() => {
  const form = document.querySelector("form[data-live]");
  if (!form) return;
  const result = document.getElementById("live");
  const fault = document.getElementById("live-fault");
  const said = document.getElementById("live-said");
  const PAUSE_MS = 250;
  let timer = 0;
  let request = null;
  let current = form.querySelector("input.topic");

  const mark = (input, isFaulty) => {
    for (const other of form.querySelectorAll("input.topic[aria-errormessage]")) {
      other.removeAttribute("aria-invalid");
      other.removeAttribute("aria-errormessage");
    }
    if (isFaulty) {
      input.setAttribute("aria-invalid", "true");
      input.setAttribute("aria-errormessage", "live-fault-text");
    }
  };

  // The pieces are our own server's and escaped there.
  const show = (input, told) => {
    fault.innerHTML = told.fault;
    // While a topic is half typed, the last whole one stays in view.
    if (!told.fault) result.innerHTML = told.result;
    result.classList.toggle("stale", told.fault !== "");
    said.textContent = told.said;
    mark(input, told.fault !== "");
  };

  const ask = async (input) => {
    if (request) request.abort();
    request = new AbortController();
    const { signal } = request;
    const query = input.value.trim();
    if (!query) {
      show(input, { said: "", fault: "", result: "" });
      return;
    }
    try {
      const answer = await fetch(`${form.dataset.live}?q=${encodeURIComponent(query)}`, {
        signal,
        credentials: "omit",
        headers: { Accept: "application/json" },
      });
      if (!answer.ok) return;
      const told = await answer.json();
      if (!signal.aborted) show(input, told);
    } catch {
      // Aborted by the next letter, or offline: the button remains.
    }
  };

  form.addEventListener("input", (event) => {
    if (!event.target.matches("input.topic")) return;
    current = event.target;
    clearTimeout(timer);
    timer = setTimeout(() => ask(current), PAUSE_MS);
  });

  result.addEventListener("click", (event) => {
    const button = event.target.closest("button[name=instead]");
    if (!button) return;
    event.preventDefault();
    current.value = button.value;
    current.focus();
    ask(current);
  });
})();
