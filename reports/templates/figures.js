(function () {
  "use strict";
  const figures = JSON.parse(document.getElementById("figures").textContent);
  const dark = matchMedia("(prefers-color-scheme: dark)"), narrow = matchMedia("(max-width: 40rem)");
  const paper = 690;  // pixels of an A4 page between its margins
  let printing = false;

  function painted(value, style) {
    if (Array.isArray(value)) return value.map((item) => painted(item, style));
    if (value && typeof value === "object")
      return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, painted(item, style)]));
    return typeof value === "string" && value.startsWith("--") ? style.getPropertyValue(value).trim() || value : value;
  }

  function draw(place) {
    if (!place.clientWidth) return;  // inside something folded: drawn when it opens
    const figure = painted(figures[Number(place.dataset.figure)], getComputedStyle(document.documentElement));
    const layout = figure.layout;
    layout.font.family = getComputedStyle(document.body).fontFamily;
    layout.width = printing ? Math.min(paper, place.clientWidth) : place.clientWidth;
    layout.dragmode = "zoom";
    if (narrow.matches) {
      // A finger scrolls the page; it must not draw a zoom box instead.
      layout.dragmode = false;
      layout.font.size = 10;
      for (const key of Object.keys(layout)) if (/^[xy]axis\d*$/.test(key)) layout[key].fixedrange = true;
    }
    Plotly.react(place, figure.data, layout, { displayModeBar: false, responsive: false });
  }

  const places = Array.from(document.querySelectorAll("[data-figure]"));
  const drawAll = () => places.forEach(draw);
  let waiting = 0;
  const drawSoon = () => { clearTimeout(waiting); waiting = setTimeout(drawAll, 120); };
  drawAll();
  dark.addEventListener("change", drawAll);
  addEventListener("resize", drawSoon);
  document.querySelectorAll("details").forEach((fold) =>
    fold.addEventListener("toggle", () => { if (fold.open) fold.querySelectorAll("[data-figure]").forEach(draw); }));

  let folded = [];
  addEventListener("beforeprint", () => {
    folded = Array.from(document.querySelectorAll("details:not([open])"));
    folded.forEach((fold) => { fold.open = true; });
    printing = true;
    drawAll();
  });
  addEventListener("afterprint", () => {
    folded.forEach((fold) => { fold.open = false; });
    printing = false;
    drawAll();
  });

  // A link into a folded section opens it.
  function reveal() {
    const target = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (target && target.tagName === "DETAILS") target.open = true;
  }
  addEventListener("hashchange", reveal);
  reveal();
})();
