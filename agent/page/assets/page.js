"use strict";
(() => {
  const link = document.getElementById("link");
  const waiting = new Map();
  const say = (text) => { link.textContent = text; link.hidden = text === ""; };
  const ago = (then) => {
    const s = (Date.now() - then) / 1000, f = new Intl.RelativeTimeFormat("en", { numeric: "auto" });
    const [n, unit] = Math.abs(s) < 60 ? [s, "second"] : Math.abs(s) < 3600 ? [s / 60, "minute"] : Math.abs(s) < 86400 ? [s / 3600, "hour"] : [s / 86400, "day"];
    return f.format(-Math.round(n), unit);
  };
  const times = (root) => root.querySelectorAll("time:not(.clock)").forEach((t) => {
    const text = ago(Date.parse(t.dateTime));
    if (t.textContent !== text) t.textContent = text;
  });
  // busy says that somebody types in a section, which is then left alone.
  const busy = (section) => section.contains(document.activeElement) && document.activeElement.matches("input") && document.activeElement.value !== "";
  const summary = () => document.querySelector(".summary").textContent;
  const put = (section, html) => {
    const was = summary();
    const open = new Set([...section.querySelectorAll("details[open]")].map((d) => d.id));
    const tall = [...section.querySelectorAll("pre.log")].map((p) => p.scrollHeight - p.scrollTop - p.clientHeight < 30 ? -1 : p.scrollTop);
    const at = section.contains(document.activeElement) ? document.activeElement : null;
    const label = at && (at.id || at.getAttribute("aria-label") || at.textContent);
    const tag = at && at.tagName;
    section.innerHTML = html;
    section.querySelectorAll("details").forEach((d) => { d.open = open.has(d.id); });
    section.querySelectorAll("pre.log").forEach((p, i) => { p.scrollTop = tall[i] >= 0 ? tall[i] : p.scrollHeight; });
    if (at) [...section.querySelectorAll(tag)].find((e) => (e.id || e.getAttribute("aria-label") || e.textContent) === label)?.focus({ preventScroll: true });
    times(section);
    if (summary() !== was) document.getElementById("told").textContent = summary();
  };
  const show = (id, html) => {
    const section = document.getElementById(id);
    if (!section) return;
    if (busy(section)) { waiting.set(id, html); return; }
    waiting.delete(id);
    put(section, html);
  };
  document.addEventListener("focusout", () => setTimeout(() => waiting.forEach((html, id) => show(id, html)), 0));
  document.querySelectorAll("pre.log").forEach((p) => { p.scrollTop = p.scrollHeight; });
  const follow = () => {
    const source = new EventSource("events");
    source.onopen = () => say("");
    source.onmessage = (message) => {
      const news = JSON.parse(message.data);
      if (news.build !== document.body.dataset.build) { location.reload(); return; }
      for (const [id, html] of Object.entries(news.sections)) show(id, html);
      document.documentElement.dataset.updates = Number(document.documentElement.dataset.updates || 0) + 1;
    };
    source.onerror = () => {
      if (source.readyState !== EventSource.CLOSED) { say("The agent does not answer; this page shows how it was."); return; }
      say("The agent has begun anew: load this page again, or open it with gitboot page.");
      setTimeout(follow, 5000);
    };
  };
  times(document);
  setInterval(() => times(document), 5000);
  follow();
})();
