package report

import (
	"path/filepath"
	"testing"

	"github.com/gitboot/gitboot/boot"
	"github.com/gitboot/gitboot/reconciler/menu"
	"github.com/gitboot/gitboot/reconciler/state"
	"github.com/gitboot/gitboot/stage"
)

// Whether a reboot is needed follows from what runs, what is in the menu, and who
// chooses what boots.
func TestReboot(t *testing.T) {
	st, err := stage.Create(filepath.Join(t.TempDir(), "stage"))
	if err != nil {
		t.Fatal(err)
	}
	doc := &state.Machine{Version: state.Version, Order: []string{"router", "desktop"}, Images: map[string]*state.Image{
		"router":  {Generations: []state.Generation{{N: 1, Deployment: "r1", Revision: "aaaaaaaaaaaa"}}},
		"desktop": {Generations: []state.Generation{{N: 3, Deployment: "d3", Revision: "bbbbbbbbbbbb"}, {N: 4, Deployment: "d4", Revision: "cccccccccccc"}}},
	}}
	all := []string{"router/r1", "desktop/d3", "desktop/d4"}
	for what, c := range map[string]struct {
		mode, chosen, booted string
		shown                []string
		want                 string
	}{
		"the newest runs":               {"menu", "", "d4", all, ""},
		"an older one runs":             {"menu", "", "d3", all, "desktop, generation 4 (revision cccccccccccc), boots next; generation 3 is running"},
		"the newer one is not in it":    {"menu", "", "d3", all[:2], ""},
		"the only one runs":             {"menu", "", "r1", all, ""},
		"what runs is not of the stage": {"menu", "", "other", all, ""},
		"gitboot did not boot it":       {"managed", "", "", all, ""},
		"the default runs":              {"managed", "", "r1", all, ""},
		"another image is the default":  {"managed", "", "d4", all, "router, generation 1 (revision aaaaaaaaaaaa), boots next; desktop, generation 4, is running"},
		"an older one was chosen":       {"managed", "desktop/d3", "d4", all, "desktop, generation 3 (revision bbbbbbbbbbbb), boots next; generation 4 is running"},
		"the chosen one runs":           {"managed", "desktop/d3", "d3", all, ""},
		"the menu is empty":             {"managed", "", "d4", nil, ""},
	} {
		shown := map[string]bool{}
		for _, id := range c.shown {
			for name, img := range doc.Images {
				for _, g := range img.Generations {
					if id == name+"/"+g.Deployment {
						shown[boot.EntryID(name, g.Deployment)] = true
					}
				}
			}
		}
		doc.Mode, doc.Default = c.mode, ""
		if c.chosen != "" {
			doc.Default = boot.EntryID("desktop", c.chosen[len("desktop/"):])
		}
		got := reboot(doc, c.booted, (&menu.Book{Stage: st}).Default(doc, shown), shown)
		if got.Reason != c.want || got.Needed != (c.want != "") || got.Needed != (got.Next != nil) {
			t.Errorf("%s: %+v", what, got)
		}
	}
}
