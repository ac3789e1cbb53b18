// After the page's own scripts: use the page, and leave a log in the document.
window.addEventListener("load", () => setTimeout(async () => {
  await window.drawn;
  const log = { title: document.title, width: document.documentElement.scrollWidth, window: window.innerWidth };
  const column = (k) => [...document.querySelectorAll("#runs tbody tr")].map((row) => row.cells[k].textContent);
  const names = [...document.querySelectorAll("#runs th")].map((head) => head.textContent);
  const k = names.indexOf("val/loss"), button = document.querySelectorAll("#runs th button")[k];
  button.click(); log.up = column(k); button.click(); log.down = column(k);
  const filter = document.getElementById("filter");
  filter.value = "relu complete"; filter.dispatchEvent(new Event("input")); log.filtered = column(names.indexOf("model.act"));
  filter.value = ""; filter.dispatchEvent(new Event("input"));
  document.querySelector("#runs tbody tr").click(); log.commands = document.getElementById("commands").textContent;
  log.plots = document.querySelectorAll(".js-plotly-plot .main-svg").length;
  if (window.Plotly && document.getElementById("plot-runs")) {
    Plotly.Fx.hover("plot-runs", [{ curveNumber: 0, pointNumber: 0 }]);
    await new Promise((done) => setTimeout(done, 200));
    log.hover = [...document.querySelectorAll("#plot-runs .hoverlayer text")].map((t) => t.textContent).join(" ");
  }
  const plot = document.getElementById("plot-runs");
  if (plot) {
    filter.value = "nothing has these words"; filter.dispatchEvent(new Event("input"));
    const last = plot.data[0].x.length - 1, marks = plot.querySelectorAll(".scatterlayer .point");
    const { left, top, width, height } = marks[last].getBoundingClientRect();
    const at = { bubbles: true, view: window, clientX: left + width / 2, clientY: top + height / 2 };
    const target = plot.querySelector(".nsewdrag");
    for (const kind of ["mousemove", "mousedown", "mouseup", "click"]) target.dispatchEvent(new MouseEvent(kind, at));
    await new Promise((done) => setTimeout(done, 300));
    log.clicked = String(plot.data[0].customdata[last]);
    log.chosen = [...document.querySelectorAll("#runs tr.chosen")].map((row) => row.cells[0].textContent);
    log.shown = document.getElementById("commands").textContent;
  }
  const widths = () => [...document.querySelectorAll(".main-svg")].map((svg) => svg.getBoundingClientRect().width);
  window.dispatchEvent(new Event("beforeprint")); log.paper = Math.max(0, ...widths());
  window.dispatchEvent(new Event("afterprint"));
  log.images = [...document.images].every((image) => image.alt.length > 20 && image.naturalWidth > 0);
  log.panels = [...document.querySelectorAll(".fits svg.small[role=img]")].map((panel) => panel.getAttribute("aria-label"));
  log.requests = performance.getEntriesByType("resource").map((entry) => entry.name).filter((name) => !name.startsWith("data:") && !name.startsWith("blob:"));
  log.wrong = window.wrong;
  const pre = document.createElement("pre"); pre.id = "log"; pre.textContent = JSON.stringify(log); document.body.append(pre);
}, 300));
