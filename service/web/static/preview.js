// Previews a topic while it is typed, fills in the time zone of the browser, and says what the chosen
// schedule means. Without JavaScript the Preview button and the form's own fields do the same.
"use strict";
(() => {
  const form = document.querySelector("form[data-live]");
  if (!form) return;
  const result = document.getElementById("live");
  const fault = document.getElementById("live-fault");
  const spoken = document.getElementById("live-summary");
  const DEBOUNCE_MS = 250;
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

  // The HTML fragments come from our own server, which escapes them.
  const show = (input, preview) => {
    fault.innerHTML = preview.fault;
    // While a topic is incomplete, the last valid preview stays visible.
    if (!preview.fault) result.innerHTML = preview.result;
    result.classList.toggle("stale", preview.fault !== "");
    spoken.textContent = preview.summary;
    mark(input, preview.fault !== "");
  };

  const update = async (input) => {
    if (request) request.abort();
    request = new AbortController();
    const { signal } = request;
    const query = input.value.trim();
    if (!query) {
      show(input, { summary: "", fault: "", result: "" });
      return;
    }
    try {
      const answer = await fetch(`${form.dataset.live}?q=${encodeURIComponent(query)}`, {
        signal,
        credentials: "omit",
        headers: { Accept: "application/json" },
      });
      // A refusal because the site is busy has the same form, with the sentence to show.
      const preview = await answer.json();
      if (!signal.aborted) show(input, preview);
    } catch {
      // Aborted by the next keystroke, or offline: the Preview button still works.
    }
  };

  // The headline and the summary say when digests come, as chosen at this moment.
  const shown = (field) => {
    if (field.tagName === "SELECT") {
      const option = field.selectedOptions[0];
      return option ? option.dataset.short || option.text : "";
    }
    const [area, ...places] = field.value.trim().split("/");
    return places.length ? `${places.pop().replaceAll("_", " ")} time` : area;
  };
  const tell = (field) => {
    for (const place of form.parentElement.querySelectorAll(`[data-shows="${field.name}"]`)) {
      place.textContent = shown(field);
    }
  };
  form.addEventListener("change", (event) => tell(event.target));

  // When the papers of a day come, in the server's words: it alone knows when a digest is due.
  const schedule = ["cadence", "hour", "timezone", "timing"];
  let asked = null;
  const explain = async () => {
    if (asked) asked.abort();
    asked = new AbortController();
    const { signal } = asked;
    const chosen = new URLSearchParams(schedule.map((name) => [name, form.elements[name].value]));
    try {
      const answer = await fetch(`/schedule/example?${chosen}`, { signal, credentials: "omit" });
      const { example } = answer.ok ? await answer.json() : {};
      if (example && !signal.aborted) document.getElementById("timing-example").textContent = example;
    } catch {
      // Aborted by the next change, or offline: the page after the form says it.
    }
  };
  form.addEventListener("change", (event) => {
    if (!schedule.includes(event.target.name)) return;
    const isAtOnce = form.elements.timing.value === "when_complete" && !/weekly|monthly/.test(form.elements.cadence.value);
    for (const place of form.parentElement.querySelectorAll("[data-when]")) {
      place.hidden = (place.dataset.when === "when_complete") !== isAtOnce;
    }
    explain();
  });

  // The browser knows the time zone, so the form need not ask; one that was typed stays.
  const zoneField = form.elements.timezone;
  if ("zone" in form.dataset && !zoneField.hasAttribute("aria-invalid")) {
    zoneField.value ||= Intl.DateTimeFormat().resolvedOptions().timeZone || "";
    if (zoneField.value) {
      const details = form.querySelector("details.when");
      details.querySelector(".timing").before(document.getElementById("zone"));
      // Nothing is asked for a visitor who leaves the schedule as it is.
      details.addEventListener("toggle", explain, { once: true });
      tell(zoneField);
    }
  }

  form.addEventListener("input", (event) => {
    if (!event.target.matches("input.topic")) return;
    current = event.target;
    clearTimeout(timer);
    timer = setTimeout(() => update(current), DEBOUNCE_MS);
  });

  // Enter in a topic asks for its preview; in the address it subscribes, as the browser does it.
  form.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || !event.target.matches("input.topic")) return;
    event.preventDefault();
    form.requestSubmit(form.querySelector("button[formaction]"));
  });

  result.addEventListener("click", (event) => {
    const button = event.target.closest("button[name=instead]");
    if (!button) return;
    event.preventDefault();
    current.value = button.value;
    current.focus();
    update(current);
  });
})();
