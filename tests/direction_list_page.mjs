// Runs web/js/direction_list.js against a page of a few lines. Prints a line for each case that holds.
//
//   node direction_list_page.mjs SCRIPT.js
import assert from 'node:assert/strict'

const script = process.argv[2]
const FITTING = {
  tiny: { directions: ['tiny/smile'], files: ['tiny'] },
  demo: { directions: ['smile', 'age'], files: ['demo'] },
  neither: { directions: [], files: [] },
  damaged: { directions: null, files: null },
}
const WHOLE = { direction: ['age', 'smile', 'tiny/smile'], file: ['demo', 'tiny'] }
const asked = []
const heard = {}
let extension

globalThis.api = {
  addEventListener: (name, listener) => { heard[name] = listener },
  fetchApi: async address => {
    const url = new URL(address, 'http://page')
    assert.equal(url.pathname, '/chunkygan/directions')
    asked.push(Object.fromEntries(url.searchParams))
    const answer = FITTING[url.searchParams.get('generator')]
    if (!answer) throw new Error('no server')
    return { ok: true, json: async () => answer }
  },
}
console.warn = () => {}

class Graph {
  nodes = []
  links = []
  subgraphs = new Map()
  inputNode = { slots: [] }
  outputNode = { slots: [] }
  getLink(id) { return this.links[id] }
  add(comfyClass, inputs, widgets = {}, more = {}) {
    const node = { comfyClass, mode: 0, graph: this, ...more }
    node.inputs = inputs.map(name => ({ name, link: null }))
    node.widgets = Object.entries(widgets).map(([name, value]) => ({ name, value, options: { values: WHOLE[name] } }))
    this.nodes.push(node)
    extension.nodeCreated(node)
    return node
  }
  link(from, to, slot = 0) { // from, to: nodes, or null for the subgraph's own borders
    const link = {
      origin_slot: 0,
      resolve: () => (from ? { outputNode: from } : { subgraphInput: {} }),
    }
    this.links.push(link)
    if (!to) this.outputNode.slots[slot] = { getLinks: () => [link] }
    else {
      to.inputs[slot].link = this.links.length - 1
      to.onConnectionsChange?.()
    }
  }
}

const root = new Graph()
globalThis.app = { rootGraph: root, registerExtension: given => { extension = given } }
await import(script)
extension.setup()

const rest = () => new Promise(done => setTimeout(done, 5))
const values = node => node.widgets[0].options.values
const edit = (graph = root) => graph.add('ChunkyGAN_LatentEdit', ['generator'], { direction: 'smile' })
const loader = (name, graph = root) => graph.add('ChunkyGAN_LoadStyleGAN', [], { name, upsampling: 'auto' })
const reroute = (graph = root) => graph.add('Reroute', [''], {}, { isVirtualNode: true })
const host = subgraph => root.add('host', ['generator'], {}, { isSubgraphNode: () => true, subgraph })
const subgraph = name => {
  const graph = new Graph()
  root.subgraphs.set(name, graph)
  return graph
}

async function holds(name, node, expected) {
  values(node) // the page draws it
  await rest()
  assert.deepEqual(values(node), expected, name)
  console.log(name)
}

const alone = edit()
await holds('not connected: everything', alone, WHOLE.direction)

const tiny = loader('tiny')
root.link(tiny, alone)
await holds('what fits, and what is chosen', alone, ['smile', 'tiny/smile'])
assert.deepEqual(asked, [{ generator: 'tiny', upsampling: 'auto' }])
alone.widgets[0].value = 'tiny/smile'
assert.deepEqual(values(alone), ['tiny/smile'])

let told = 0
Object.defineProperty(alone.widgets[0], 'label', { get: () => 'label', set: () => { told += 1 } })
tiny.widgets[0].value = 'demo'
tiny.widgets[0].callback('demo')
await rest()
assert.ok(told >= 1) // without being drawn
await holds('after another file was chosen', alone, ['age', 'smile', 'tiny/smile'])
told = 0
heard.graphChanged()
assert.equal(told, 0) // nothing new

const load = root.add('ChunkyGAN_LoadDirection', ['generator'], { file: 'demo' })
root.link(reroute(), load)
const first = reroute()
root.link(loader('neither'), first)
root.link(first, root.nodes.find(node => node.comfyClass === 'Reroute'))
await holds('through reroutes to a generator that nothing fits', load, ['demo'])

for (const [name, source] of [
  ['the server can not tell: everything', loader('damaged')],
  ['no server: everything', loader('unreachable')],
  ['another node: everything', root.add('ChunkyGAN_Other', ['generator'])],
]) {
  const node = edit()
  root.link(source, node)
  await holds(name, node, WHOLE.direction)
}

const inner = subgraph('inner')
const inside = edit(inner)
inner.link(null, inside)
const only = host(inner)
root.link(loader('tiny'), only)
const outer = subgraph('outer')
outer.link(loader('tiny', outer), null)
const outside = edit()
root.link(host(outer), outside)
for (const node of [inside, outside]) {
  values(node)
  await rest()
  assert.deepEqual(values(node), ['smile', 'tiny/smile'])
}
root.link(loader('demo'), host(inner))
await holds('in a subgraph that is used twice: everything', inside, WHOLE.direction)

const off = loader('tiny')
off.mode = 4
const bypassed = edit()
root.link(off, bypassed)
assert.deepEqual(values(bypassed), WHOLE.direction)
off.mode = 0
off.inputs.push({ name: 'name', widget: { name: 'name' }, link: 0 })
await holds('a name from elsewhere: everything', bypassed, WHOLE.direction)

FITTING.demo = { directions: ['age', 'new'], files: [] }
alone.widgets[0].value = 'age'
alone.widgets[0].options.values = [...WHOLE.direction, 'new'] // R
extension.refreshComboInNodes()
await holds('after R, with a new file', alone, ['age', 'new'])
