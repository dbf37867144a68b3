package manifests

import (
	"encoding/json"
	"fmt"
	"iter"
	"maps"
	"slices"

	"github.com/gitboot/gitboot/deployment"
	"github.com/gitboot/gitboot/internal/durable"
)

// version is that of the document's form.
const version = 1

// A document is what is remembered.
type document struct {
	Version     int                 `json:"version"`
	Objects     []deployment.Object `json:"objects"`
	Trees       []deployment.Tree   `json:"trees,omitempty"`
	Deployments map[string]kept     `json:"deployments"`
}

// A kept manifest is one without what others have, too.
type kept struct {
	Stamp stamp `json:"stamp"`
	// Objects are all that it names, Layers its layers and Trees their hash trees,
	// among those of the document.
	Objects spans `json:"objects"`
	Layers  spans `json:"layers,omitempty"`
	Trees   spans `json:"trees,omitempty"`
	// Rest is the manifest without layers and trees.
	Rest json.RawMessage `json:"manifest"`
}

// spans are places in a list, as first ones and how many follow each other.
type spans [][2]int

func (s spans) all() iter.Seq[int] {
	return func(yield func(int) bool) {
		for _, span := range s {
			for i := span[0]; i < span[0]+span[1]; i++ {
				if !yield(i) {
					return
				}
			}
		}
	}
}

// and is one place more.
func (s spans) and(i int) spans {
	if n := len(s); n > 0 && s[n-1][0]+s[n-1][1] == i {
		s[n-1][1]++
		return s
	}
	return append(s, [2]int{i, 1})
}

// within reports whether all of them are places in a list of n.
func (s spans) within(n int) bool {
	for _, span := range s {
		if span[0] < 0 || span[1] < 0 || span[0] > n || span[1] > n-span[0] {
			return false
		}
	}
	return true
}

// A pool is a list of things, equal ones once.
type pool[T comparable] struct {
	items []T
	at    map[T]int
}

func newPool[T comparable](items []T) pool[T] {
	p := pool[T]{items: items, at: make(map[T]int, len(items))}
	for i, item := range items {
		p.at[item] = i
	}
	return p
}

// add has a list in the pool, and says where.
func (p *pool[T]) add(list []T) (out spans) {
	for _, item := range list {
		i, there := p.at[item]
		if !there {
			i = len(p.items)
			p.items, p.at[item] = append(p.items, item), i
		}
		out = out.and(i)
	}
	return out
}

// used is a pool of no more than what lies at these places of p, and where that is then.
func (p *pool[T]) used(places ...*spans) pool[T] {
	to := make([]int, len(p.items)) // 1 more
	var items []T
	for _, s := range places {
		var moved spans
		for i := range s.all() {
			if to[i] == 0 {
				items = append(items, p.items[i])
				to[i] = len(items)
			}
			moved = moved.and(to[i] - 1)
		}
		*s = moved
	}
	return newPool(items)
}

// list is what add was given. Lists that lie in one piece are in memory once.
func (p *pool[T]) list(s spans) (out []T) {
	if len(s) == 1 {
		end := s[0][0] + s[0][1]
		return p.items[s[0][0]:end:end]
	}
	for _, span := range s {
		out = append(out, p.items[span[0]:span[0]+span[1]]...)
	}
	return out
}

// keep is the form in which a manifest is remembered.
func (m *Manifests) keep(full *deployment.Manifest) (k kept, err error) {
	rest := *full
	rest.Layers = nil
	if full.Verity != nil {
		rest.Verity = &deployment.Verity{Mode: full.Verity.Mode}
		k.Trees = m.trees.add(full.Verity.Trees)
	}
	k.Objects, k.Layers = m.objects.add(full.Objects()), m.objects.add(full.Layers)
	k.Rest, err = json.Marshal(&rest)
	return k, err
}

// restore is the manifest of which keep made this.
func (m *Manifests) restore(k kept) (*deployment.Manifest, error) {
	full := new(deployment.Manifest)
	if err := json.Unmarshal(k.Rest, full); err != nil {
		return nil, err
	}
	full.Layers = m.objects.list(k.Layers)
	if full.Verity != nil {
		full.Verity.Trees = m.trees.list(k.Trees)
	}
	return full, nil
}

// recall reads what earlier processes have remembered.
func (m *Manifests) recall() {
	if m.known != nil {
		return
	}
	doc, err := readDocument(m.memory)
	if err != nil {
		doc = document{}
	}
	m.objects, m.trees, m.known = newPool(doc.Objects), newPool(doc.Trees), make(map[string]*known, len(doc.Deployments))
	for id, k := range doc.Deployments {
		m.known[id] = &known{kept: k}
	}
}

func readDocument(path string) (doc document, err error) {
	text, err := durable.ReadSummed(path)
	if err == nil {
		err = json.Unmarshal(text, &doc)
	}
	if err != nil {
		return doc, err
	}
	sound := doc.Version == version
	for _, k := range doc.Deployments {
		sound = sound && k.Objects.within(len(doc.Objects)) && k.Layers.within(len(doc.Objects)) && k.Trees.within(len(doc.Trees))
	}
	if !sound {
		return doc, durable.ErrDoubtful
	}
	return doc, nil
}

// Remember writes what is known of these deployments for the next process, if that is
// not what was written last, and forgets all others.
func (m *Manifests) Remember(ids []string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, id := range ids {
		_, _ = m.look(id, false) // who needs one that cannot be read tells
	}
	for id := range m.known {
		if !slices.Contains(ids, id) {
			delete(m.known, id)
			m.changed = true
		}
	}
	if !m.changed {
		return nil
	}
	m.compact()
	doc := document{Version: version, Objects: m.objects.items, Trees: m.trees.items, Deployments: map[string]kept{}}
	for id, k := range m.known {
		doc.Deployments[id] = k.kept
	}
	text, err := json.Marshal(doc)
	if err == nil {
		err = durable.WriteSummed(m.memory, append(text, '\n'), 0o600)
	}
	if err != nil {
		return fmt.Errorf("remember which manifests were read: %w", err)
	}
	m.changed = false
	return nil
}

// compact forgets the objects that no known manifest names.
func (m *Manifests) compact() {
	var objects, trees []*spans
	for _, id := range slices.Sorted(maps.Keys(m.known)) {
		k := m.known[id]
		objects, trees = append(objects, &k.Objects, &k.Layers), append(trees, &k.Trees)
	}
	m.objects, m.trees = m.objects.used(objects...), m.trees.used(trees...)
}
