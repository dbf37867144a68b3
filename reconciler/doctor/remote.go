package doctor

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/gitboot/gitboot/build/engine/engines"
	"github.com/gitboot/gitboot/image"
	"github.com/gitboot/gitboot/internal/program"
	"github.com/gitboot/gitboot/reconciler/plan"
	"github.com/gitboot/gitboot/reconciler/wanted"
	"github.com/gitboot/gitboot/spec"
)

func checkConfigRepo(_ context.Context, v *visit) []Finding {
	w, err := v.wants()
	problems := spec.Problems{}
	switch {
	case v.unopened != nil:
		return skip("the settings or the stage are not in order")
	case errors.Is(err, errUnset):
		return fail("no config repo is named", "set repo in "+v.File+", or give --repo")
	case errors.As(err, &problems):
		return fail(fmt.Sprintf("%s is not valid: %s", v.Config.Source.URL, problems[0].String()), "`gitboot validate` in the repo names every problem; commit what it asks for")
	case err != nil && v.Offline:
		return fail(err.Error(), "run it without --offline")
	case err != nil:
		return fail(err.Error(), "once that is put right, `gitboot plan` shows what the repo wants")
	}
	return ok("%s", told(v, w))
}

func told(v *visit, w *wanted.Wanted) string {
	images := "1 image"
	if n := len(w.Wants.Images); n != 1 {
		images = fmt.Sprintf("%d images", n)
	}
	reached := "reachable"
	if v.Offline && v.r.Repo.Folder() == "" {
		reached = "not asked, last seen"
	}
	return fmt.Sprintf("%s is %s and valid at %s, and wants %s of machine %s", v.Config.Source.URL, reached, plan.Short(w.Revision.Hash), images, w.Wants.Machine)
}

// checkRegistries asks for one image of each registry that the machine's images
// come from: a HEAD, with the credentials that a pull would use.
func checkRegistries(ctx context.Context, v *visit) []Finding {
	w, err := v.wants()
	if err != nil {
		return skip("what the config repo wants is not known")
	}
	pulls := pullsOf(w.Wants)
	hosts := slices.Sorted(maps.Keys(pulls))
	if len(hosts) == 0 {
		return ok("no image comes from a registry")
	}
	answers := make([]chan []Finding, len(hosts))
	for i, host := range hosts {
		answers[i] = make(chan []Finding, 1)
		go func() { answers[i] <- v.askRegistry(ctx, pulls[host]) }()
	}
	var out []Finding
	for i, host := range hosts {
		for _, f := range <-answers[i] {
			f.Subject = host
			out = append(out, f)
		}
	}
	return out
}

func (v *visit) askRegistry(ctx context.Context, pulls []spec.Pull) []Finding {
	for _, p := range pulls {
		opts := v.r.Machine.Find.PullOptions(&p)
		opts.Timing = image.Timing{Idle: 10 * time.Second, Attempts: 1}
		if _, err := image.Resolve(ctx, p.Ref, opts); err != nil {
			return fail(err.Error(), "what is on the stage goes on booting; newer images come when that is put right")
		}
	}
	if len(pulls) == 1 {
		return ok("has %s", pulls[0].Ref)
	}
	return ok("has %s and %d others", pulls[0].Ref, len(pulls)-1)
}

// checkPeers looks for other machines of this network, if that is what a run does.
func checkPeers(ctx context.Context, v *visit) []Finding {
	switch {
	case v.Config.Peers == nil:
		return skip("no other machine is looked for")
	case v.Offline:
		return skip("asks somebody on a network, and --offline was given")
	}
	found, err := v.Config.Peers.Look(ctx)
	switch {
	case err != nil:
		return warn(err.Error(), "all comes from registries until that is put right; without peers in "+v.File+" nobody is looked for")
	case len(found) == 0:
		return ok("nobody answers within two seconds, and all comes from registries; who gives has peers and [serve] in agent.toml, and multicast (UDP port 5353) reaches it from here")
	}
	return ok("%s: asked before registries", strings.Join(found, ", "))
}

// pullsOf are the images and bases that come from registries, by those.
func pullsOf(wants *spec.Wants) map[string][]spec.Pull {
	pulls := map[string][]spec.Pull{}
	add := func(p spec.Pull) {
		host := hostOf(p.Ref)
		if !slices.ContainsFunc(pulls[host], func(known spec.Pull) bool { return known.Ref == p.Ref }) {
			pulls[host] = append(pulls[host], p)
		}
	}
	for _, img := range made(wants) {
		switch {
		case img.Pull != nil:
			add(*img.Pull)
		case img.Build != nil && img.Build.FromRef != "":
			base := img.Build.Pulled
			base.Ref = img.Build.FromRef
			add(base)
		}
	}
	return pulls
}

// made are the machine's images, those that it builds for others, and what both
// are made from.
func made(wants *spec.Wants) (all []spec.Image) {
	for _, img := range slices.Concat(wants.Images, wants.Builds) {
		for all = append(all, img); img.Build != nil && img.Build.Base != nil; all = append(all, img) {
			img = *img.Build.Base
		}
	}
	return all
}

// hostOf is the registry of a reference that validated: without one it is
// Docker's.
func hostOf(ref string) string {
	host, _, more := strings.Cut(ref, "/")
	if !more || !strings.ContainsAny(host, ".:") && host != "localhost" {
		return "docker.io"
	}
	return host
}

func checkEngines(ctx context.Context, v *visit) []Finding {
	w, err := v.wants()
	if err != nil {
		return skip("what the config repo wants is not known")
	}
	builds := map[string][]string{}
	for _, img := range made(w.Wants) {
		if name := img.Name; img.Build != nil && !slices.Contains(builds[img.Build.Engine], name) {
			builds[img.Build.Engine] = append(builds[img.Build.Engine], name)
		}
	}
	if len(builds) == 0 {
		return ok("no image is built here")
	}
	var out []Finding
	for _, name := range slices.Sorted(maps.Keys(builds)) {
		out = append(out, v.askEngine(ctx, name, builds[name])...)
	}
	return out
}

func (v *visit) askEngine(ctx context.Context, name string, images []string) (out []Finding) {
	eng, err := v.r.Shop.Engine(name)
	if err == nil {
		name = eng.Name()
		err = eng.Check(ctx)
	}
	if err != nil {
		out = fail(fmt.Sprintf("%s, which builds %s: %v", orDefault(name), strings.Join(images, ", "), err), "what is built already goes on booting")
	} else {
		out = ok("%s builds %s", name+engineVersion(ctx, name), strings.Join(images, ", "))
	}
	out[0].Subject = orDefault(name)
	return out
}

func orDefault(name string) string {
	if name == "" {
		return engines.Default
	}
	return name
}

// engineVersion is that of an engine that is a program of its own name.
func engineVersion(ctx context.Context, name string) string {
	if path, err := program.Find(name); err == nil {
		return " " + version(ctx, path)
	}
	return ""
}
