// The pictures are there without this: here they can be zoomed and pointed at. Times are seconds of the run.
"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const figure = document.getElementById("figure");
  const [cursor, selection, readout] = [".cursor", ".selection", ".readout"].map((s) => figure.querySelector(s));
  const plots = [...figure.querySelectorAll(".plot")];
  const SVG = "http://www.w3.org/2000/svg";
  // What is seen of the run, and where somebody points (null: nowhere).
  let [from, to] = [0, data.extent_s];
  let at = null;
  // Nothing is shorter than the finest bin.
  const finest = Math.min(data.extent_s, ...data.probes.map((probe) => (probe.bins ? probe.bins.bin_s : data.extent_s)));
  const outages = data.probes.flatMap((probe) => probe.outages).sort((a, b) => a[0] - b[0]);

  const part = (t) => (t - from) / (to - from);
  const percent = (x) => (x * 100).toFixed(3) + "%";
  const width = () => plots[0].getBoundingClientRect().width;

  // The same ticks as in the pictures as they came.
  function ticks() {
    const least = (to - from) / 12;
    let step = [60, 120, 300, 600, 1200, 1800, 3600].find((s) => s >= least) ?? Math.ceil(least / 3600) * 3600;
    if (least <= 20) {
      const decade = 10 ** Math.floor(Math.log10(least));
      step = [1, 2, 5, 10].map((f) => f * decade).find((s) => s >= least * 0.999);
    }
    const digits = step < 1 ? Math.ceil(-Math.log10(step) - 1e-9) : 0;
    const found = [];
    for (let n = Math.ceil(from / step - 1e-9); n * step <= to + step * 1e-9; n++) {
      const minutes = Math.round((n * step) / 60);
      const long = Math.floor(minutes / 60) + ":" + String(minutes % 60).padStart(2, "0") + " h";
      found.push([n * step, step >= 60 ? long : (n * step).toFixed(digits) + " s"]);
    }
    return found;
  }

  function element(name, attributes, text) {
    const made = document.createElementNS(SVG, name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    if (text !== undefined) made.textContent = text;
    return made;
  }

  function draw() {
    const [marks, pixels] = [ticks(), width()];
    for (const plot of plots) {
      const height = plot.getAttribute("height");
      for (const time of plot.querySelectorAll(".time")) {
        time.setAttribute("viewBox", `${from * 1000} 0 ${(to - from) * 1000} ${height}`);
      }
      const lines = marks.map(([t]) => element("line", { x1: percent(part(t)), x2: percent(part(t)), y1: 0, y2: height }));
      plot.querySelector(".grid").replaceChildren(...lines);
      const times = plot.querySelector(".times");
      if (times) {
        times.replaceChildren(...marks.map(([t, text]) => {
          const x = part(t);
          const edge = x < 0.02 ? "first" : x > 0.98 ? "last" : "";
          return element("text", { x: percent(x), y: 15, class: edge }, text);
        }));
      }
      label(plot, pixels);
    }
    // Patterns keep their shape whatever the stretch of time.
    for (const pattern of document.querySelectorAll(".stretched")) {
      pattern.setAttribute("patternTransform", `scale(${((to - from) * 1000) / pixels} 1)`);
    }
    point(at);
  }

  // The labels come longest outage first: each is shown where there is room, on its bar if that is wide enough.
  function label(plot, pixels) {
    const taken = [];
    const wide = (text) => (text.length * 7.2 + 12) / pixels;
    for (const one of plot.querySelectorAll(".label")) {
      const [start, end] = [Math.max(Number(one.dataset.from), from), Math.min(Number(one.dataset.to), to)];
      const { span, fate } = one.dataset;
      const [above, on] = one.children;
      const fits = wide(fate) <= part(end) - part(start);
      above.textContent = fits || !fate ? span : `${span} · ${fate}`;
      on.textContent = fits ? fate : "";
      const half = Math.min(0.5, wide(above.textContent) / 2);
      const middle = Math.min(1 - half, Math.max(half, part((start + end) / 2)));
      const reach = [middle - half, middle + half];
      const free = start <= end && taken.every((other) => reach[1] <= other[0] || other[1] <= reach[0]);
      if (free) taken.push(reach);
      one.classList.toggle("off", !free);
      for (const text of one.children) text.setAttribute("x", percent(middle));
    }
  }

  function zoom(a, b) {
    const span = Math.min(data.extent_s, Math.max(b - a, finest * 2));
    from = Math.min(Math.max(0, (a + b - span) / 2), data.extent_s - span);
    to = from + span;
    draw();
  }

  function zoomBy(factor, around) {
    const t = around ?? at ?? (from + to) / 2;
    zoom(t - (t - from) * factor, t + (to - t) * factor);
  }

  const inBin = (counted, bin) => {
    const index = counted.bins.indexOf(bin);
    return index < 0 ? 0 : counted.counts[index];
  };
  const micros = (us) => (us < 1000 ? us.toFixed(0) + " µs" : us < 1e6 ? (us / 1000).toFixed(us < 1e4 ? 2 : 1) + " ms" : (us / 1e6).toFixed(2) + " s");

  function describe(probe, t) {
    if (!probe.bins) return probe.outages.some(([a, b]) => a <= t && t < b) ? "outage" : "–";
    const bin = Math.floor(t / probe.bins.bin_s + 1e-9);
    const sent = probe.bins.sent[bin] ?? 0;
    const words = [`${sent} sent`];
    for (const [name, counted] of probe.bins.shares) {
      if (inBin(counted, bin)) words.push(`${inBin(counted, bin)} ${name}`);
    }
    if (probe.bins.resent && inBin(probe.bins.resent, bin)) words.push(`${inBin(probe.bins.resent, bin)} resent`);
    const { bins, min, p50, max } = probe.bins.rtt_us;
    const index = bins.indexOf(bin);
    if (index >= 0) words.push(`${micros(p50[index])} (${micros(min[index])} – ${micros(max[index])})`);
    return words.join(", ");
  }

  // Shows what was at a time, in every probe; and the changes that are not more than some pixels away.
  function point(t) {
    at = t === null ? null : Math.min(data.extent_s, Math.max(0, t));
    const hidden = at === null || at < from || at > to;
    cursor.hidden = readout.hidden = hidden;
    if (hidden) return;
    const x = plots[0].getBoundingClientRect().left - figure.getBoundingClientRect().left + part(at) * width();
    cursor.style.left = x + "px";
    const near = ((to - from) / width()) * 6;
    const table = document.createElement("table");
    const row = (...cells) => cells.forEach((text, index) => {
      const line = index ? table.rows[table.rows.length - 1] : table.insertRow();
      line.insertCell().textContent = text;
    });
    row(at.toFixed(finest < 0.01 ? 3 : 2) + " s", "");
    const shown = figure.querySelectorAll("[data-probe]");
    for (const probe of shown) row(data.probes[probe.dataset.probe].name, describe(data.probes[probe.dataset.probe], at));
    const changes = data.changes.filter((change) => Math.abs(change.at_s - at) <= near);
    for (const change of changes.slice(0, 6)) row(change.what, `${change.at_s.toFixed(2)} s ${change.device ?? ""} ${change.detail}`);
    if (changes.length > 6) row("", `and ${changes.length - 6} more changes`);
    readout.replaceChildren(table);
    const room = figure.getBoundingClientRect().width;
    const own = readout.getBoundingClientRect().width;
    readout.style.left = (x + 14 + own > room ? Math.max(0, x - 14 - own) : x + 14) + "px";
    // In view, even when the figure is taller than the window.
    const top = Math.max(30, 30 - figure.getBoundingClientRect().top);
    readout.style.top = Math.min(top, Math.max(0, figure.clientHeight - readout.clientHeight)) + "px";
  }

  function jump(step) {
    const t = at ?? (step > 0 ? -1 : data.extent_s + 1);
    const [ahead, gap] = [outages.filter(([a]) => (step > 0 ? a > t + 1e-6 : a < t - 1e-6)), finest * 5];
    const found = step > 0 ? ahead[0] : ahead[ahead.length - 1];
    if (!found) return;
    if (found[0] < from || found[0] > to) zoom(found[0] - (to - from) / 2, found[0] + (to - from) / 2);
    if (found[1] - found[0] < (to - from) / 100) zoom(found[0] - gap, found[1] + gap);
    point(found[0]);
  }

  const actions = {
    in: () => zoomBy(0.5), out: () => zoomBy(2), all: () => zoom(0, data.extent_s),
    next: () => jump(1), previous: () => jump(-1),
  };
  for (const button of document.querySelectorAll("[data-do]")) {
    button.addEventListener("click", () => actions[button.dataset.do]());
  }

  figure.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    const step = event.shiftKey ? (to - from) / 10 : Math.max(finest, (to - from) / width());
    const move = (t) => {
      if (t < from) zoom(t, t + (to - from));
      if (t > to) zoom(t - (to - from), t);
      point(t);
    };
    const keys = {
      ArrowLeft: () => move((at ?? to) - step), ArrowRight: () => move((at ?? from) + step),
      Home: () => move(0), End: () => move(data.extent_s), Escape: () => point(null),
      "+": actions.in, "=": actions.in, "-": actions.out, "0": actions.all, n: actions.next, p: actions.previous,
    };
    if (!keys[event.key]) return;
    event.preventDefault();
    keys[event.key]();
  });

  // The mouse points; pressed, it selects what to zoom into.
  let pressed = null;
  const timeAt = (event) => from + ((event.clientX - plots[0].getBoundingClientRect().left) / width()) * (to - from);
  const inside = (t) => Math.min(to, Math.max(from, t));
  figure.addEventListener("pointerdown", (event) => {
    if (event.button === 0 && event.pointerType === "mouse" && event.target.closest(".plot")) pressed = inside(timeAt(event));
  });
  window.addEventListener("pointermove", (event) => {
    if (pressed === null) {
      const over = event.target instanceof Element && event.target.closest("#figure .plot");
      if (over) point(inside(timeAt(event)));
      return;
    }
    event.preventDefault();
    const t = inside(timeAt(event));
    const left = plots[0].getBoundingClientRect().left - figure.getBoundingClientRect().left;
    selection.hidden = false;
    selection.style.left = left + part(Math.min(t, pressed)) * width() + "px";
    selection.style.width = (Math.abs(t - pressed) / (to - from)) * width() + "px";
    point(t);
  });
  window.addEventListener("pointerup", (event) => {
    if (pressed === null) return;
    const ends = [pressed, inside(timeAt(event))].sort((a, b) => a - b);
    pressed = null;
    selection.hidden = true;
    if ((ends[1] - ends[0]) / (to - from) > 0.005) zoom(...ends);
  });
  figure.addEventListener("pointerleave", () => { if (pressed === null) point(null); });
  figure.addEventListener("dblclick", actions.all);
  figure.addEventListener("wheel", (event) => {
    if (!event.ctrlKey && !event.shiftKey) return;
    event.preventDefault();
    zoomBy(event.deltaY + event.deltaX > 0 ? 1.25 : 0.8, inside(timeAt(event)));
  }, { passive: false });
  figure.addEventListener("selectstart", (event) => { if (pressed !== null) event.preventDefault(); });

  window.addEventListener("resize", draw);
  window.addEventListener("beforeprint", draw);
  window.addEventListener("afterprint", draw);
  document.documentElement.classList.add("scripted");
  draw();
})();
