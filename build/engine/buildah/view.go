package buildah

import (
	"cmp"
	"errors"
	"slices"
	"time"
)

// A cached is an image of the store on the scale.
type cached struct {
	storedImage
	chain []string // its layers, highest first
	last  time.Time
}

// A cacheView is what the store holds.
type cacheView struct {
	images []*cached
	sizes  map[string]int64 // of layers
}

// total is the size of all layers.
func (v *cacheView) total() (n int64) {
	for _, size := range v.sizes {
		n += size
	}
	return n
}

// view reads the store.
func (s *store) view() (*cacheView, error) {
	images, err := s.images()
	layers, err2 := s.layers()
	if err := errors.Join(err, err2); err != nil {
		return nil, err
	}
	parents, sizes := map[string]string{}, map[string]int64{}
	for _, l := range layers {
		parents[l.ID], sizes[l.ID] = l.Parent, l.Size
	}
	v := &cacheView{sizes: map[string]int64{}}
	for _, l := range layers {
		v.sizes[l.ID] = l.Size
		if s.driver == "vfs" { // every layer holds all that is below it
			for _, below := range chain(l.Parent, parents) {
				v.sizes[l.ID] += sizes[below]
			}
		}
	}
	for _, i := range images {
		c := &cached{storedImage: i, chain: chain(i.Layer, parents)}
		if c.last, err = s.lastUse(i.ID); err != nil {
			return nil, err
		}
		v.images = append(v.images, c)
	}
	v.raise()
	return v, nil
}

// raise makes parents as recent as their children.
func (v *cacheView) raise() {
	used := map[string]time.Time{} // layers that others are built on
	for _, i := range v.images {
		for _, layer := range i.chain[min(1, len(i.chain)):] {
			if i.last.After(used[layer]) {
				used[layer] = i.last
			}
		}
	}
	for _, i := range v.images {
		if used[i.Layer].After(i.last) {
			i.last = used[i.Layer]
		}
	}
}

// choose returns the images that stay: those to be kept, those that share all
// their layers with them, and of the others those that were used last.
func (v *cacheView) choose(keep []string, limit int64) []*cached {
	users, needed := map[string]int{}, map[string]bool{}
	for _, i := range v.images {
		for _, layer := range i.chain {
			users[layer]++
			needed[layer] = needed[layer] || slices.Contains(keep, "sha256:"+i.ID)
		}
	}
	var stays, others []*cached
	for _, i := range v.images {
		if slices.Contains(keep, "sha256:"+i.ID) || !slices.ContainsFunc(i.chain, func(l string) bool { return !needed[l] }) {
			stays = append(stays, i)
		} else {
			others = append(others, i)
		}
	}
	slices.SortFunc(others, func(x, y *cached) int { // children before their parents
		return cmp.Or(x.last.Compare(y.last), cmp.Compare(len(y.chain), len(x.chain)), cmp.Compare(x.ID, y.ID))
	})
	for total := v.total(); total > limit && len(others) > 0; others = others[1:] {
		for _, layer := range others[0].chain {
			if users[layer]--; users[layer] == 0 {
				total -= v.sizes[layer]
			}
		}
	}
	return append(stays, others...)
}
