// Pictures that answer: figures over the data that a cell of the chapter has computed, and written below its static figure.
//
//   <div class="nst-explore" data-figure="gram">
//     <img src="..." alt="...">                                the figure as it is in the notebook
//     <script type="application/json">{...}</script>           what book/explore.py has packed
//   </div>

import { element } from "../studio/parts.js";
import { unpack } from "./data.js";

const FIGURES = ["attention", "gram", "plane", "receptive", "steps"];

/** Replace the static figure of an element by one that answers. Without its data it stays as it is. */
export async function explore(root) {
  const { figure } = root.dataset;
  const source = root.querySelector("script[type='application/json']");
  if (!source || !FIGURES.includes(figure)) return;
  const { draw } = await import(`./${figure}.js`);
  const data = await unpack(JSON.parse(source.textContent));
  const stage = element("div", "nst-figure");
  draw(stage, data);
  for (const still of root.querySelectorAll("img, p")) still.hidden = true;
  root.append(stage);
  root.classList.add("nst-live", "nst-answers");
}
