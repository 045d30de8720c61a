"use strict";

// A click on a head sorts by its column, another one the other way round. What is unknown stays last.
const body = document.querySelector("#matches tbody");
document.querySelectorAll("#matches th").forEach((head, column) => {
  head.querySelector("button").addEventListener("click", () => {
    const down = head.getAttribute("aria-sort") === "ascending";
    document.querySelectorAll("#matches th").forEach((other) => other.removeAttribute("aria-sort"));
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
    const value = (row) => row.cells[column].dataset.value;
    const compare = (a, b) => {
      const [x, y] = [value(a), value(b)];
      if (x === "" || y === "") return (x === "") - (y === "");
      const order = isNaN(x) || isNaN(y) ? x.localeCompare(y) : x - y;
      return down ? -order : order;
    };
    body.append(...[...body.rows].sort(compare));
  });
});

// A chart is drawn when it comes into view: a hundred at once would take seconds.
const drawings = JSON.parse(document.getElementById("drawings").textContent);
const seen = new IntersectionObserver((entries) => {
  for (const { isIntersecting, target } of entries) {
    if (!isIntersecting) continue;
    seen.unobserve(target);
    const { data, layout } = drawings[target.dataset.drawing];
    Plotly.newPlot(target, data, layout, { responsive: true, displaylogo: false, showSendToCloud: false });
  }
}, { rootMargin: "200px" });
document.querySelectorAll(".chart").forEach((chart) => seen.observe(chart));
