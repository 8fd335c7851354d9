// Greys out the widgets of Segmented Projection that count only without a preset. Their values stay as they are.
import { app } from "../../../scripts/app.js"

const NODE = "ChunkyGAN_SegmentedProjection"
const CUSTOM = "custom"
const ALWAYS = ["preset", "seed", "start_as"]

function presetOf(node) {
  return node.comfyClass === NODE ? node.widgets?.find((widget) => widget.name === "preset") : undefined
}

function greyOut(node) {
  const preset = presetOf(node)
  if (!preset) return
  for (const widget of node.widgets) {
    // what follows a seed, such as "fixed", is grey where the seed is, and can't be set
    const isOwn = !Object.getOwnPropertyDescriptor(widget, "disabled")?.get
    if (isOwn && !ALWAYS.includes(widget.name)) widget.disabled = preset.value !== CUSTOM
  }
  node.setDirtyCanvas?.(true, true)
}

app.registerExtension({
  name: "ChunkyGAN.presets",
  nodeCreated(node) {
    const preset = presetOf(node)
    if (!preset) return
    const before = preset.callback
    preset.callback = function (...given) {
      const result = before?.apply(this, given)
      greyOut(node)
      return result
    }
    greyOut(node)
  },
  loadedGraphNode: greyOut, // the values of a saved workflow come after the node is made
})
