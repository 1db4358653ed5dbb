// Looks into a frame that runs no script: is everything drawn, inside its picture, and no text upon another?
addEventListener("load", () => {
  const page = document.querySelector("iframe").contentDocument;
  const box = (element) => element.getBoundingClientRect();
  const drawn = {};
  const empty = [];
  const kinds = { bar: "path.bar", median: "path.median", band: ".probe path.band", outage: "path.outage", change: ".changes path.change", label: ".label:not(.off)", tick: ".scale .times text" };
  for (const [kind, selector] of Object.entries(kinds)) {
    const found = [...page.querySelectorAll(selector)];
    drawn[kind] = found.length;
    for (const element of found) {
      const [own, plot] = [box(element), box(element.closest(".plot"))];
      const inside = own.left >= plot.left - 2 && own.right <= plot.right + 2 && own.top >= plot.top - 2 && own.bottom <= plot.bottom + 2;
      if (own.width + own.height === 0 || !inside) empty.push([kind, element.textContent, own.left, own.right, plot.left, plot.right]);
    }
  }
  const overlapping = [];
  for (const picture of page.querySelectorAll(".plot, .gutter")) {
    const texts = [...picture.querySelectorAll("text")].filter((text) => box(text).width > 0);
    texts.forEach((a, n) => texts.slice(n + 1).forEach((b) => {
      const [one, other] = [box(a), box(b)];
      // Boxes of lines reach a little over their letters.
      const apart = one.right <= other.left || other.right <= one.left || one.bottom <= other.top + 3 || other.bottom <= one.top + 3;
      if (!apart) overlapping.push([a.textContent, b.textContent]);
    }));
  }
  const result = document.createElement("pre");
  result.id = "result";
  result.textContent = JSON.stringify({ scripted: page.documentElement.classList.contains("scripted"), drawn, empty, overlapping });
  document.body.append(result);
});
