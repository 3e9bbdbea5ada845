"use strict";
const root = document.documentElement;
const say = (text) => { document.getElementById("status").textContent = text; };
const folds = () => [...document.querySelectorAll("details")];
const cells = (row) => [...row.cells].map((cell) => cell.textContent.trim());

function value(text) {
  if (text === "never") return Infinity;
  const number = parseFloat(text.replaceAll(",", "").replace("\u2212", "-"));
  return Number.isNaN(number) ? null : number;
}

function compare(one, other) {
  const [a, b] = [value(one), value(other)];
  if (a !== null && b !== null) return a - b;
  if (a === null && b === null) return one.localeCompare(other, "en");
  return a === null ? 1 : -1;
}

function sort(heading) {
  const table = heading.closest("table"), body = table.tBodies[0];
  const sign = heading.ariaSort === "ascending" ? -1 : 1;
  const rows = [...body.rows];
  rows.sort((a, b) => sign * compare(cells(a)[heading.cellIndex], cells(b)[heading.cellIndex]));
  for (const each of heading.parentElement.cells) each.removeAttribute("aria-sort");
  heading.ariaSort = sign === 1 ? "ascending" : "descending";
  body.append(...rows);
}

for (const heading of document.querySelectorAll("thead th")) {
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = heading.textContent;
  button.addEventListener("click", () => sort(heading));
  heading.replaceChildren(button);
}

for (const button of document.querySelectorAll("button.copy")) {
  button.addEventListener("click", async () => {
    const rows = [...button.closest("details").querySelector("table").rows];
    try {
      await navigator.clipboard.writeText(rows.map((row) => cells(row).join("\t")).join("\n"));
      say("The table is copied.");
    } catch { say("This browser does not let a page copy."); }
  });
}

document.getElementById("theme").addEventListener("click", () => {
  const isDark = getComputedStyle(root).colorScheme === "dark" ||
    (!root.dataset.theme && matchMedia("(prefers-color-scheme: dark)").matches);
  root.dataset.theme = isDark ? "light" : "dark";
});

document.getElementById("folds").addEventListener("click", (event) => {
  const open = folds().some((fold) => !fold.open);
  for (const fold of folds()) fold.open = open;
  event.target.textContent = open ? "Close all tables" : "Open all tables";
});

document.getElementById("save").addEventListener("click", () => {
  const text = document.getElementById("data").textContent;
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type: "application/json" }));
  link.download = "report.json";
  link.click();
  URL.revokeObjectURL(link.href);
});

let closed = [];
addEventListener("beforeprint", () => {
  closed = folds().filter((fold) => !fold.open);
  for (const fold of closed) fold.open = true;
});
addEventListener("afterprint", () => { for (const fold of closed) fold.open = false; });
for (const each of document.querySelectorAll("[hidden]")) each.hidden = false;
