// Long tables of results can be sorted by each of their columns, by pointer or keyboard. In
// tables and text, intervals stay on one line. Nothing is fetched.
(() => {
  "use strict";
  const LONG = 8; // rows that one does not take in at a glance

  const words = (row, column) => row.cells[column].textContent.trim();

  // What was not measured comes last, whichever way a table is sorted.
  const measured = (text) => /\w/.test(text) && !/^(not run|does not apply)$/.test(text);

  // "98.1 % (97.0-99.2)" counts as 98.1; what starts with no number, as "-", comes last.
  const number = (text) => {
    const found = text.replace(/,(?=\d{3})/g, "").match(/^[-\u2212+]?\d+(\.\d+)?(e[-+]?\d+)?/i);
    return found ? Number(found[0].replace("\u2212", "-")) : NaN;
  };

  const order = (rows, column) => {
    const filled = rows.map((row) => words(row, column)).filter(measured);
    if (filled.length && filled.every((text) => !Number.isNaN(number(text))))
      return (a, b) => number(words(a, column)) - number(words(b, column));
    return (a, b) => words(a, column).localeCompare(words(b, column), "en", { numeric: true });
  };

  const empty = (row, column) => (measured(words(row, column)) ? 0 : 1);

  const sort = (table, head) => {
    const down = head.getAttribute("aria-sort") === "ascending";
    for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
    const body = table.tBodies[0], rows = [...body.rows], column = head.cellIndex;
    const compare = order(rows, column), sign = down ? -1 : 1;
    rows.sort((a, b) => empty(a, column) - empty(b, column) || sign * (compare(a, b) || 0));
    body.append(...rows);
  };

  const prepare = (table) => {
    if (!table.tHead || table.tHead.rows.length !== 1) return;
    if (table.tBodies.length !== 1 || table.tBodies[0].rows.length < LONG) return;
    if (table.querySelector("[colspan], [rowspan]")) return;
    for (const head of table.tHead.rows[0].cells) {
      if (head.tagName !== "TH") continue; // the empty corner of a table of figures
      const button = document.createElement("button");
      button.type = "button";
      button.className = "sort";
      button.title = "sort by this column";
      const holder = head.querySelector("p") || head;
      button.append(...holder.childNodes);
      holder.append(button);
      button.addEventListener("click", () => sort(table, head));
    }
  };

  // "(95.1-98.9)", "12 %", "T = 16", "9 of 10": browsers would break them at the hyphen or the space.
  const UNBROKEN = /\(?\d[\d.]*(?:[-\u2013]\d[\d.]*(?: %)?\)?| %)|\b[A-Za-z] = \d[\d.]*|\b\d+ of \d+\b/g;

  const keep = (text) => {
    const parts = [];
    let end = 0;
    for (const found of text.data.matchAll(UNBROKEN)) {
      const whole = document.createElement("span");
      whole.className = "unbroken";
      whole.textContent = found[0];
      parts.push(text.data.slice(end, found.index), whole);
      end = found.index + found[0].length;
    }
    if (parts.length) text.replaceWith(...parts, text.data.slice(end));
  };

  const keepWhole = (article) => {
    const walker = document.createTreeWalker(article, NodeFilter.SHOW_TEXT), texts = [];
    while (walker.nextNode()) texts.push(walker.currentNode);
    texts.filter((text) => !text.parentElement.closest("code, pre, script, style, math, dt")).forEach(keep);
  };

  addEventListener("DOMContentLoaded", () => {
    document.querySelectorAll("article").forEach(keepWhole);
    document.querySelectorAll("article table:is(.claims, .runs, .dataframe)").forEach(prepare);
  });
})();
