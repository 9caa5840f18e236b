// The search page shows the text around what it found. Left alone, it takes the page's buttons for
// text, and looks for stems: "accuraci", say, which stands nowhere. Nothing is fetched.
addEventListener("DOMContentLoaded", () => {
  "use strict";
  if (typeof Search === "undefined") return;
  const { htmlToText, makeSearchSummary } = Search;

  Search.htmlToText = (page, anchor) => {
    const article = new DOMParser().parseFromString(page, "text/html").querySelector("article");
    return htmlToText(`<main role="main">${article ? article.innerHTML : page}</main>`, anchor);
  };

  // Sphinx shows the place of the last that it finds.
  Search.makeSearchSummary = (page, stems, anchor) =>
    makeSearchSummary(page, [...stems].flatMap((stem) => [stem.replace(/i$/, ""), stem]), anchor);
});
