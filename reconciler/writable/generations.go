package writable

import (
	"time"

	"github.com/gitboot/gitboot/deployment"
	"github.com/gitboot/gitboot/reconciler/inventory"
	"github.com/gitboot/gitboot/reconciler/state"
	"github.com/gitboot/gitboot/rootfs"
	"github.com/gitboot/gitboot/stage"
)

// Generations returns those of an image that are whole, the oldest first. Of one that
// is running, or has been, without a record of a boot, its staging counts.
func Generations(st *stage.Stage, img *state.Image, running string) ([]Generation, error) {
	boots, err := deployment.ReadBoots(st.Dir())
	if err != nil {
		return nil, err
	}
	first := map[string]time.Time{}
	for _, b := range boots {
		if at := first[b.Deployment]; at.IsZero() || b.Started.Before(at) {
			first[b.Deployment] = b.Started
		}
	}
	var out []Generation
	for _, g := range img.Generations {
		if inventory.Damage(st, g) != "" {
			continue
		}
		if g.Deployment == running && first[running].IsZero() {
			first[running] = g.Created
		}
		m, err := st.Deployment(g.Deployment)
		if err != nil {
			return nil, err
		}
		out = append(out, Generation{N: g.N, Booted: first[g.Deployment], Open: func() (*rootfs.Tree, error) {
			return inventory.OpenTree(st, m.Squashed())
		}})
	}
	return out, nil
}
