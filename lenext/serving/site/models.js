/** The page at /models: the chart of all architectures, and one or two of them stage by stage. */

import { address, ask } from "./api.js";
import { byId, el } from "./dom.js";
import { short } from "./format.js";
import { ERAS, drawPlot, makePlot, paint } from "./plot.js";
import { showStages } from "./stages.js";

const FIRST = "resnet50";
const PAUSE = 250; // milliseconds without a key before a size that is being typed is asked for

let all = [];
let chart;
let turn = 0;

const value = (id) => byId(id).value;
const chosen = () => [value("first"), value("second")].filter(Boolean);

async function start() {
  try {
    all = (await ask("/v1/architectures")).architectures;
  } catch (error) {
    byId("status").textContent = error.message;
    return;
  }
  byId("status").hidden = true;
  byId("lead").textContent = `${all.length} networks: what each gives and costs, stage by stage, and how well it was published to do.`;
  byId("ready").hidden = false;
  fillChoices();
  chart = makePlot(byId("chart"), choose);
  drawAll();
  drawChosen();
}

function options(select, given, first) {
  select.replaceChildren(...(first ? [el("option", { value: "" }, first)] : []), ...given.map((each) => el("option", { value: each }, each)));
}

function fillChoices() {
  const families = [...new Set(all.map(({ family }) => family))];
  const years = [...new Set(all.map(({ year }) => year))].sort();
  const datasets = [...new Set(all.flatMap(({ errors }) => errors.map(({ dataset }) => dataset)))];
  options(byId("family"), families, "all");
  options(byId("from"), years);
  options(byId("to"), [...years].reverse());
  options(byId("dataset"), datasets.sort((a, b) => holding(b) - holding(a)));
  byId("eras").replaceChildren(...ERAS.map(([, text], at) => el("li", {}, el("i", { vars: { colour: `var(--era-${at + 1})` } }), text)), el("li", {}, "area: parameters"));
  for (const id of ["first", "second"]) {
    byId(id).replaceChildren(
      ...(id === "second" ? [el("option", { value: "" }, "none")] : []),
      ...families.map((family) => el("optgroup", { label: family }, ...all.filter((each) => each.family === family).map(({ name }) => el("option", { value: name }, name)))),
    );
  }
  const wanted = new URLSearchParams(location.search);
  const known = (name) => all.some((each) => each.name === name);
  byId("first").value = known(wanted.get("first")) ? wanted.get("first") : FIRST;
  byId("second").value = known(wanted.get("second")) ? wanted.get("second") : "";
  byId("size").value = wanted.get("size") ?? "";
}

const holding = (dataset) => all.filter(({ errors }) => errors.some((error) => error.dataset === dataset)).length;

/** Return the models that the filters leave, each with the first published error of the wanted kind, or none. */
function filtered() {
  const [text, family, from, to] = [value("text").trim().toLowerCase(), value("family"), Number(value("from")), Number(value("to"))];
  const [dataset, kind, crop] = [value("dataset"), value("error"), byId("crop").checked];
  return all
    .filter((row) => row.name.includes(text) && (!family || row.family === family) && row.year >= from && row.year <= to)
    .map((row) => {
      const fits = (error) => error.dataset === dataset && error[kind] !== null && (!crop || error.protocol === "one crop");
      const error = row.errors.find(fits) ?? null;
      return { row, error, value: error && error[kind] };
    });
}

function drawAll() {
  const rows = filtered();
  const points = rows.filter(({ error }) => error);
  const label = `${value("error") === "top1" ? "top-1" : "top-5"} error in %, as published`;
  drawPlot(chart, points, { label, most: Math.max(...all.map(({ params }) => params)), chosen: chosen() });
  const without = rows.length - points.length;
  byId("shown").textContent =
    `${points.length} of ${all.length} models are in the chart` +
    (without ? `; ${without} more fit, but no such error was published of them.` : ".") +
    " Errors of different protocols do not compare exactly. A click on a disc shows its stages.";
  byId("rows").replaceChildren(...rows.map(tableRow));
}

function tableRow({ row, error, value: rate }) {
  const number = (text) => el("td", { class: "n" }, text);
  const button = (text, id) => el("button", { type: "button", "aria-label": `${text} ${row.name}`, on: { click: () => choose(row.name, id) } }, text);
  return el(
    "tr", {}, el("th", { scope: "row" }, row.name), el("td", {}, row.family), number(String(row.year)), number(short(row.params)),
    number(short(row.macs)), number(String(row.size)), number(error ? `${rate} %` : ""), el("td", {}, error ? error.protocol : ""),
    el("td", {}, button("show", "first"), button("beside", "second")),
  );
}

/** Show the stages of a model, and go there. */
function choose(name, id = "first") {
  byId(id).value = name;
  drawChosen();
  byId("stages-title").scrollIntoView({ block: "start" });
  byId("stages-title").focus({ preventScroll: true });
}

async function drawChosen() {
  const mine = ++turn;
  const size = value("size") ? Number(value("size")) : undefined;
  const wanted = new URLSearchParams({ first: value("first"), ...(value("second") && { second: value("second") }), ...(size && { size }) });
  history.replaceState(null, "", `/models?${wanted}`);
  byId("own").disabled = size === undefined;
  byId("dashes").hidden = size === undefined;
  chart.options.plugins.names.chosen = chosen();
  chart.update();
  const places = chosen().map(() => el("section", {}));
  byId("pair").setAttribute("aria-busy", "true");
  const found = await Promise.all(chosen().map((name) => stagesOf(name, size)));
  if (mine !== turn) return; // another choice was made meanwhile
  byId("pair").replaceChildren(...places);
  byId("pair").removeAttribute("aria-busy");
  places.forEach((place, at) => {
    const { staged, own, refused } = found[at];
    if (refused) place.replaceChildren(el("h3", {}, chosen()[at]), el("p", { class: "alert", role: "alert" }, refused));
    else showStages(place, staged, own);
  });
  const shown = found.filter(({ staged }) => staged).map(({ staged: { name, input } }) => `${name} at ${input[1]}`);
  byId("told").textContent = shown.length ? `${shown.join(" and ")} ${shown.length > 1 ? "are" : "is"} shown.` : "";
}

const asked = new Map();

/** Return an architecture at a size and at its own, or why it cannot be had; what was told once is remembered. */
async function stagesOf(name, size) {
  const at = (side) => {
    const path = address(["architectures", name], { size: side });
    if (!asked.has(path)) asked.set(path, ask(path).catch((error) => asked.delete(path) && Promise.reject(error)));
    return asked.get(path);
  };
  try {
    const [staged, own] = await Promise.all([at(size), at()]);
    return { staged, own };
  } catch (error) {
    return { refused: error.message };
  }
}

byId("filters").addEventListener("input", drawAll);
byId("filters").addEventListener("submit", (event) => event.preventDefault());
byId("choice").addEventListener("submit", (event) => event.preventDefault());
for (const id of ["first", "second"]) byId(id).addEventListener("change", drawChosen);
let typed;
byId("size").addEventListener("input", () => {
  clearTimeout(typed);
  typed = setTimeout(drawChosen, PAUSE);
});
byId("own").addEventListener("click", () => {
  byId("size").value = "";
  byId("size").focus();
  drawChosen();
});
let width = window.innerWidth;
window.addEventListener("resize", () => {
  if (window.innerWidth !== width && chart) drawChosen();
  width = window.innerWidth;
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => chart && paint(chart));

start();
