// Before/after sliders. A page needs no JavaScript to make sense: without this file the two pictures stand side by side.
//
//   <div class="nst-compare">
//     <figure><img src="..." alt="..."><figcaption>photograph</figcaption></figure>
//     <figure><img src="..." alt="..."><figcaption>after 200 steps</figcaption></figure>
//   </div>
//
// The second picture is laid over the first and cut at a line that a range input moves: so mouse, touch, arrow keys,
// Home, End and screen readers work as they do for any slider. Loaded with `defer`, not as a module, because browsers
// refuse modules to pages that are opened as files.
"use strict";

(() => {
  function enhance(box) {
    const figures = [...box.querySelectorAll(":scope > figure")];
    const pictures = figures.map((figure) => figure.querySelector("img"));
    if (figures.length !== 2 || pictures.includes(null)) return;
    const labels = figures.map((figure) => figure.querySelector("figcaption")?.textContent.trim() ?? "");

    const frame = document.createElement("div");
    frame.className = "nst-compare-frame";
    const line = document.createElement("span");
    line.className = "nst-compare-line";
    line.setAttribute("aria-hidden", "true");

    const slider = document.createElement("input");
    slider.type = "range";
    slider.min = 0;
    slider.max = 100;
    slider.value = 50;
    slider.setAttribute("aria-label", `How much is shown of "${labels[0]}", the rest being "${labels[1]}"`);

    const captions = document.createElement("div");
    captions.className = "nst-compare-labels";
    captions.append(...labels.map((label) => Object.assign(document.createElement("span"), { textContent: label })));

    const move = () => {
      frame.style.setProperty("--cut", `${slider.value}%`);
      slider.setAttribute("aria-valuetext", `${slider.value}% ${labels[0]}, ${100 - slider.value}% ${labels[1]}`);
    };
    slider.addEventListener("input", move);
    move();

    frame.append(...pictures, line, slider);
    box.replaceChildren(frame, captions);
    box.removeAttribute("style");
    box.classList.add("nst-compare-live");
  }

  document.querySelectorAll(".nst-compare").forEach(enhance);
})();
