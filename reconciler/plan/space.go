package plan

import "slices"

// LayersAtOnce bounds how many layers are added side by side: each squasher uses every
// processor by itself, so more would only cost memory.
const LayersAtOnce = 2

// Room kept free besides the layers, in bytes: for hooks and manifests, and
// for the kernel and initramfs that new layers may bring.
const (
	smallRoom  = 4 << 20
	kernelRoom = 48 << 20
)

// Room is how much a new generation may take on the stage, in bytes, until what goes
// in exchange is gone: an object is a little larger than a zstd layer, and about
// half of a tar. What is staged already takes none. What lies beside layers while they are
// put together goes with each, so that those count that may be added at once.
func (s Staging) Room() (n int64) {
	if s.Ready != "" {
		return 0
	}
	if len(s.Layers) > 0 {
		n = kernelRoom
	}
	var beside []int64
	for _, l := range s.Layers {
		bytes := max(l.Bytes, l.Whole)
		n += bytes + bytes/8 + l.Tar/2
		beside = append(beside, l.Beside)
	}
	slices.Sort(beside)
	for _, bytes := range beside[max(len(beside)-LayersAtOnce, 0):] {
		n += bytes
	}
	if s.Inputs.Verity != "" {
		n += n / 100 // a tree takes less than that of its layer
	}
	return n + smallRoom
}

// Room is how much all of the plan's new generations may take.
func (p Plan) Room() (n int64) {
	for _, s := range p.Stagings {
		n += s.Room()
	}
	return n
}

// Space is what a plan does to the room on the stage, in bytes. The JSON fields are
// stable.
type Space struct {
	// Needed is the most that is written before anything is removed, and Free what
	// may be written now, without what is kept free for others.
	Needed int64 `json:"needed"`
	Free   int64 `json:"free"`
	// Freed is what generations that go, and what nothing reaches, give back.
	Freed int64 `json:"freed"`
	// Left is what may be written afterwards, at least: less than 0 is what lacks.
	Left int64 `json:"left"`
}

// NewSpace is what becomes of so much free room.
func (p Plan) NewSpace(free, freed int64) *Space {
	needed := p.Room()
	return &Space{Needed: needed, Free: free, Freed: freed, Left: free - needed + freed}
}
