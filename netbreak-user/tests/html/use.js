// Uses the page as a person does, and writes down what it did.
addEventListener("load", () => {
  const figure = document.getElementById("figure");
  const readout = figure.querySelector(".readout");
  const view = () => figure.querySelector(".probe .time").getAttribute("viewBox").split(" ").map(Number);
  const key = (name, times = 1) => {
    for (let n = 0; n < times; n++) figure.dispatchEvent(new KeyboardEvent("keydown", { key: name, bubbles: true, cancelable: true }));
  };
  const plot = figure.querySelector(".probe .plot");
  const mouse = (type, part, target = plot) => {
    const box = plot.getBoundingClientRect();
    target.dispatchEvent(new PointerEvent(type, { bubbles: true, cancelable: true, button: 0, pointerType: "mouse", clientX: box.left + box.width * part, clientY: box.top + 20 }));
  };
  const line = (index) => readout.querySelector("table").rows[index].cells[1].textContent;
  const near = (a, b) => Math.abs(a - b) < 1;
  const was = {};
  const whole = view();
  was["the whole run is shown"] = near(whole[2], report.run.duration_s * 1000);
  was["nothing is pointed at"] = readout.hidden;

  key("n");
  const outage = report.targets[0].probes[0].outages[0];
  const { bin_s: width, sent, deaths } = report.targets[0].probes[0].timeline;
  const bin = Math.floor(outage.start_s / width);
  was["n points at the first outage"] = !readout.hidden && readout.textContent.includes(outage.start_s.toFixed(2) + " s");
  was["what was sent then is said"] = line(1).startsWith(`${sent[bin]} sent`);
  const died = deaths[0].counts[deaths[0].bins.indexOf(bin)];
  was["what they died of is said"] = line(1).includes(`${died} netfilter [1]`);

  key("+");
  was["plus halves"] = near(view()[2], whole[2] / 2);
  key("-", 2);
  was["minus ends at the whole run"] = view().join() === whole.join();
  key("+", 40);
  was["there is a finest view"] = view()[2] > 0 && near(view()[2], width * 2000);
  was["ticks follow"] = figure.querySelectorAll(".scale .times text").length >= 2;
  key("0");
  was["0 is the whole run"] = view().join() === whole.join();
  key("End");
  was["End points at the end"] = readout.textContent.startsWith((whole[2] / 1000).toFixed(2) + " s");
  key("Escape");
  was["Escape points at nothing"] = readout.hidden;

  mouse("pointermove", 0.25);
  was["the mouse points"] = !readout.hidden && readout.textContent.startsWith((whole[2] / 4000).toFixed(2) + " s");
  mouse("pointerdown", 0.25);
  mouse("pointermove", 0.5);
  was["a selection is shown"] = !figure.querySelector(".selection").hidden;
  mouse("pointerup", 0.5);
  was["dragging zooms"] = near(view()[0], whole[2] / 4) && near(view()[2], whole[2] / 4);
  was["visible labels do not overlap"] = [...figure.querySelectorAll(".plot")].every((plot) => {
    const boxes = [...plot.querySelectorAll(".label:not(.off) text")].map((text) => text.getBoundingClientRect());
    return boxes.every((a, n) => boxes.slice(n + 1).every((b) => a.right <= b.left || b.right <= a.left || a.bottom <= b.top || b.bottom <= a.top));
  });
  document.querySelector("[data-do=all]").click();
  was["the button shows the whole run"] = view().join() === whole.join();
  const stretched = document.querySelector(".stretched").getAttribute("patternTransform");
  was["patterns are not stretched"] = Math.abs(parseFloat(stretched.slice(6)) - whole[2] / plot.getBoundingClientRect().width) < 0.1;

  const result = document.createElement("pre");
  result.id = "result";
  result.textContent = JSON.stringify(was);
  document.body.append(result);
});
