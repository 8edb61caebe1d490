"use strict";
for (const section of document.querySelectorAll("section.table")) {
  const body = section.querySelector("tbody");
  const rows = [...body.rows];
  const parents = new Map(rows.map((row) => [row, JSON.parse(row.dataset.parents)]));
  const folded = new Set();
  const filter = section.querySelector(".filter");
  const inOrder = section.querySelector(".by-module");
  const foldAll = section.querySelector(".fold-all");
  const openAll = section.querySelector(".open-all");
  let flat = false;

  const update = () => {
    const wanted = filter ? filter.value.trim().toLowerCase() : "";
    let shown = 0;
    for (const row of rows) {
      const isModule = "module" in row.dataset;
      const name = row.cells[0].textContent.toLowerCase();
      const inside = !flat && !wanted && parents.get(row).some((path) => folded.has(path));
      row.hidden = inside || ((flat || wanted) && isModule) || (wanted && !name.includes(wanted));
      if (!row.hidden && !isModule) shown += 1;
      const button = row.querySelector(".fold");
      if (button) button.setAttribute("aria-expanded", String(!folded.has(row.dataset.module)));
      row.cells[0].style.setProperty("--depth", flat || wanted ? 0 : parents.get(row).length);
    }
    if (inOrder) inOrder.hidden = !flat;
    for (const button of [foldAll, openAll]) if (button) button.hidden = flat || wanted !== "";
    const total = rows.filter((row) => !("module" in row.dataset)).length;
    const count = section.querySelector(".count");
    if (count) count.textContent = shown === total ? `${total} rows` : `${shown} of ${total} rows`;
  };

  const place = (ordered) => {
    const all = document.createDocumentFragment();
    ordered.forEach((row) => all.append(row));
    body.append(all);
  };

  const key = (row, column) => {
    const cell = row.cells[column];
    if ("number" in cell.dataset) return Number(cell.dataset.key.replace("inf", "Infinity"));
    return cell.dataset.key ?? cell.textContent;
  };

  const compare = (first, second) => {
    const numbers = [first, second].map((value) => typeof value === "number");
    if (numbers[0] !== numbers[1]) return numbers[0] ? -1 : 1;
    return numbers[0] ? first - second : first.localeCompare(second, undefined, { numeric: true });
  };

  const heads = [...section.querySelectorAll("thead th")];
  heads.forEach((head, column) => {
    head.querySelector("button").addEventListener("click", () => {
      const isNumber = rows.some((row) => "number" in (row.cells[column].dataset ?? {}));
      const now = head.getAttribute("aria-sort");
      const first = isNumber ? "descending" : "ascending";
      const second = isNumber ? "ascending" : "descending";
      const next = now === first ? second : first;
      heads.forEach((other) => other.setAttribute("aria-sort", "none"));
      head.setAttribute("aria-sort", next);
      const sign = next === "ascending" ? 1 : -1;
      flat = true;
      const keyed = rows.map((row) => [key(row, column), row]);
      keyed.sort((a, b) => {
        const known = [a, b].map(([value]) => value !== "" && value !== "?");
        if (known[0] !== known[1]) return known[0] ? -1 : 1;
        return sign * compare(a[0], b[0]);
      });
      place(keyed.map(([, row]) => row));
      update();
    });
  });

  if (filter) filter.addEventListener("input", update);
  body.addEventListener("click", (event) => {
    const button = event.target.closest(".fold");
    if (!button) return;
    const path = button.closest("tr").dataset.module;
    if (!folded.delete(path)) folded.add(path);
    update();
  });
  foldAll?.addEventListener("click", () => {
    rows.forEach((row) => "module" in row.dataset && folded.add(row.dataset.module));
    update();
  });
  openAll?.addEventListener("click", () => {
    folded.clear();
    update();
  });
  inOrder?.addEventListener("click", () => {
    flat = false;
    heads.forEach((head) => head.setAttribute("aria-sort", "none"));
    place([...rows].sort((a, b) => a.dataset.at - b.dataset.at));
    update();
  });
  update();
}

const specs = JSON.parse(document.getElementById("specs").textContent);
const dark = matchMedia("(prefers-color-scheme: dark)");
const drawn = new Map();

async function draw(place) {
  const text = "currentColor";
  const config = {
    background: null,
    view: { stroke: null },
    text: { fill: text, fontSize: 11 },
    axis: { labelColor: text, titleColor: text, titleFontWeight: 500 },
    legend: { labelColor: text, titleColor: text, titleFontWeight: 500 },
    title: { color: text },
    range: { heatmap: dark.matches ? ["#26303a", "#7cbcf2"] : ["#dfe7ee", "#0b4f86"] },
  };
  drawn.get(place)?.finalize();
  drawn.set(place, undefined);
  const result = await vegaEmbed(place, structuredClone(specs[place.id]), {
    actions: false, renderer: "svg", config, ast: false,
  });
  drawn.set(place, result);
  place.setAttribute("role", "img"); // its words are below it; Vega would read every tick out
  place.removeAttribute("aria-roledescription");
}

const places = Object.keys(specs).map((id) => document.getElementById(id));
const near = new IntersectionObserver((entries) => {
  for (const entry of entries) {
    if (!entry.isIntersecting) continue;
    near.unobserve(entry.target);
    draw(entry.target);
  }
}, { rootMargin: "600px" });
places.forEach((place) => near.observe(place));
const drawAll = () => Promise.all(places.filter((place) => !drawn.has(place)).map(draw));
const idle = globalThis.requestIdleCallback ?? ((work) => setTimeout(work, 200));
const drawNext = async () => {
  const next = places.find((place) => !drawn.has(place));
  if (next) await draw(next).then(() => idle(drawNext));
};
idle(drawNext);
addEventListener("beforeprint", drawAll);
dark.addEventListener("change", () => [...drawn.keys()].forEach(draw));
