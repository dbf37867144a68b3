package doctor

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/gitboot/gitboot/internal/durable"
	"github.com/gitboot/gitboot/internal/progress"
	"github.com/gitboot/gitboot/reconciler/inventory"
	"github.com/gitboot/gitboot/reconciler/plan"
	"github.com/gitboot/gitboot/reconciler/state"
	"github.com/gitboot/gitboot/stage"
)

// checkStage looks at what is known of the stage, and whether all is there and
// as large as it should be. What files hold is for `gitboot stage verify`.
func checkStage(_ context.Context, v *visit) []Finding {
	if v.Settings != nil {
		return skip("which stage it is, is not known")
	}
	st, err := stage.Open(v.Config.Stage)
	if errors.Is(err, stage.ErrNone) {
		return ok("there is none in %s yet; the first reconcile makes it", v.Config.Stage)
	}
	if err != nil {
		return fail(err.Error(), "name the right folder with stage in "+v.File+", or mount the stage's file system")
	}
	doc, err := v.doc()
	if err == nil {
		_, err = state.LoadWorkshop(st.Dir())
	}
	if err != nil {
		return fail(err.Error(), "")
	}
	var damage []string
	n := 0
	for _, name := range slices.Sorted(maps.Keys(doc.Images)) {
		for _, g := range doc.Images[name].Generations {
			n++
			if what := inventory.Damage(st, g); what != "" {
				damage = append(damage, name+": "+what)
			}
		}
	}
	if len(damage) > 0 {
		return fail(fmt.Sprintf("%s: %s", st.Dir(), strings.Join(damage, "; ")), "`gitboot reconcile --once` stages anew what is wanted; `gitboot stage verify` reads everything")
	}
	return ok("%s is at revision %s, its %d generations are complete", st.Dir(), orNone(plan.Short(doc.Revision)), n)
}

func orNone(s string) string {
	if s == "" {
		return "none"
	}
	return s
}

// checkSpace asks whether one more generation, as large as the largest, would fit.
func checkSpace(_ context.Context, v *visit) []Finding {
	_, st, skipped := v.staged()
	if skipped != nil {
		return skipped
	}
	if durable.NoInodes(st.Dir()) {
		return fail("no file can be made on the stage: its file system has no inodes left", "remove files there, or make it anew with more of them (`mkfs.ext4 -N`)")
	}
	free, err := durable.Room(st.Dir(), v.Config.Reserve)
	if err != nil {
		return fail(err.Error(), "")
	}
	largest, err := largestDeployment(st)
	if err != nil {
		return fail(err.Error(), "`gitboot stage verify --remove` takes away what is damaged")
	}
	text := fmt.Sprintf("%s are free for the stage, besides what is reserved; its largest generation has %s", progress.Bytes(free), progress.Bytes(largest))
	const remedy = "`gitboot stage gc` and `gitboot stage remove` make room, a smaller keep makes less of it needed"
	switch {
	case free == 0:
		return fail(text, remedy)
	case free < largest:
		return warn(text, remedy)
	}
	return ok("%s", text)
}

func largestDeployment(st *stage.Stage) (largest int64, err error) {
	ids, err := st.Deployments()
	if err != nil {
		return 0, err
	}
	for _, id := range ids {
		m, err := st.Deployment(id)
		if err != nil {
			return 0, err
		}
		var size int64
		for _, o := range m.Objects() {
			size += o.Size
		}
		largest = max(largest, size)
	}
	return largest, nil
}

// checkImages looks for a generation of each wanted image, whose kernel and
// initramfs the boot loader will read.
func checkImages(_ context.Context, v *visit) (out []Finding) {
	doc, st, skipped := v.staged()
	if skipped != nil {
		return skipped
	}
	if len(doc.MenuOrder()) == 0 {
		return warn("nothing is staged yet", "`gitboot reconcile --once` stages what the config repo wants")
	}
	for _, name := range doc.MenuOrder() {
		for _, f := range checkImage(st, doc.Images[name].Newest()) {
			f.Subject = name
			out = append(out, f)
		}
	}
	return out
}

func checkImage(st *stage.Stage, g *state.Generation) []Finding {
	if g == nil {
		return warn("has no generation yet", "`gitboot reconcile --once` stages it, or says why it cannot")
	}
	m, err := st.Deployment(g.Deployment)
	if err != nil {
		return fail(err.Error(), "`gitboot reconcile --once` stages it anew")
	}
	for _, o := range m.Objects()[:2] {
		if err := readable(st.ObjectPath(o)); err != nil {
			return fail(fmt.Sprintf("generation %d cannot boot: %v", g.N, err), "`gitboot stage verify --remove; gitboot reconcile --once` makes it again")
		}
	}
	return ok("generation %d has a kernel, %s, and an initramfs", g.N, m.KernelVersion)
}

// readable reads a file's beginning.
func readable(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = f.Read(make([]byte, 4096))
	return err
}

// checkLastRun tells what failed in the last run, and has since.
func checkLastRun(_ context.Context, v *visit) (out []Finding) {
	doc, st, skipped := v.staged()
	if skipped != nil {
		return skipped
	}
	add := func(subject string, f *state.Failure) {
		if f != nil {
			out = append(out, Finding{Verdict: Fail, Subject: subject, Message: fmt.Sprintf("failing since %s: %s", stamp(f.Since), f.Message),
				Remedy: "once that is put right, `gitboot reconcile --once`; `gitboot history` tells of each run"})
		}
	}
	add("", doc.Failure)
	for _, name := range slices.Sorted(maps.Keys(doc.Images)) {
		add(name, doc.Images[name].Failure)
	}
	if shop, err := state.LoadWorkshop(st.Dir()); err == nil {
		add("", shop.Failure)
		for _, name := range slices.Sorted(maps.Keys(shop.Builds)) {
			add(name, shop.Builds[name].Failure)
			if push := shop.Builds[name].Push; push != nil {
				add(name, push.Failure)
			}
		}
	}
	switch {
	case len(out) > 0:
		return out
	case doc.Revision == "":
		return skip("there was none")
	}
	return ok("did what it was to do")
}
