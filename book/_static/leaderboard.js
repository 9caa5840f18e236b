// The leaderboard's filters: data set, attack, defence, and pairs without a record. Heads are
// sorted by tables.js. Nothing is fetched.
(() => {
  "use strict";
  const element = (name, attributes, ...inside) => {
    const made = Object.assign(document.createElement(name), attributes);
    made.append(...inside);
    return made;
  };

  const setOf = (table) => table.closest("section").querySelector("h2").firstChild.textContent.trim();

  const words = (row, column) => row.cells[column].textContent.trim();

  // "STRIP, space, of inputs" is the defence "STRIP, space".
  const defence = (row) => words(row, 1).replace(/, of (networks|inputs|training sets)$/, "");

  const choice = (name, values) => {
    const options = [...new Set(values)].map((value) => element("option", { value }, value));
    return element("select", { name }, element("option", { value: "" }, "all"), ...options);
  };

  const start = (tables) => {
    const rows = tables.flatMap((table) =>
      [...table.tBodies[0].rows].map((row) => ({
        row,
        data: setOf(table),
        attack: words(row, 0),
        defence: defence(row),
        empty: row.querySelector(".not-run") !== null,
      })),
    );
    const selects = ["data", "attack", "defence"].map((name) => choice(name, rows.map((one) => one[name])));
    const box = element("input", { type: "checkbox", name: "empty" });
    const told = element("output", {});
    const form = element(
      "form",
      { className: "board-filters" },
      ...selects.map((select) => element("label", {}, select.name, " ", select)),
      element("label", {}, box, " also pairs without a record"),
      told,
    );
    const show = () => {
      for (const one of rows)
        one.row.hidden =
          (one.empty && !box.checked) || selects.some(({ name, value }) => value && one[name] !== value);
      for (const table of tables) {
        const some = [...table.tBodies[0].rows].some((row) => !row.hidden);
        (table.closest(".pst-scrollable-table-container") || table).hidden = !some;
      }
      for (const section of new Set(tables.map((table) => table.closest("section"))))
        section.hidden = ![...section.querySelectorAll("tbody tr")].some((row) => !row.hidden);
      const shown = rows.filter((one) => !one.row.hidden);
      const empty = shown.filter((one) => one.empty).length;
      told.textContent = `${shown.length} rows` + (empty ? `, ${empty} of them without a record` : "");
    };
    form.addEventListener("input", show);
    form.addEventListener("submit", (event) => event.preventDefault());
    tables[0].closest("section").before(form);
    show();
  };

  addEventListener("DOMContentLoaded", () => {
    const tables = [...document.querySelectorAll("article table.board")];
    if (tables.length) start(tables);
  });
})();
