package main

import (
	"context"
	"fmt"
	"os"
)

// madeConfig is config, with a machine that has published what layers become.
const madeConfig = config + `
[machine.builder]
images      = ["os"]
objects_key = "objects.pub"
`

// readyMade compares a whole first run of which the layers are ready-made with what
// unpacking and packing them would cost at least.
func readyMade(ctx context.Context, s *site, r row) (result, error) {
	_, blob, err := s.coldWorld(ctx, "zstd")
	if err != nil {
		return result{}, err
	}
	ref, err := s.image(ctx, "zstd")
	if err != nil {
		return result{}, err
	}
	w, err := s.configured(ctx, fmt.Sprintf(madeConfig, ref, `objects_from = ["builder"]`))
	if err == nil {
		err = w.trustBuilder(ctx)
	}
	if err == nil {
		err = w.publish(ctx, s.gitboot, ref)
	}
	if err != nil {
		return result{}, err
	}
	theirs := side{
		command: "zstd -dc blob | zstd -3 -T2 -q > packed",
		prepare: func(context.Context, int) error { return fresh(s.path("limit")) },
		run: func(ctx context.Context, _ int) (usage, error) {
			return script(ctx, fmt.Sprintf("zstd -dc %s | zstd -3 -T2 -q > %s", blob, s.path("limit", "packed")))
		},
	}
	res, err := timed(ctx, r, w.ours(w.cold), theirs, func(ratio float64) check { return atMost(ratio, 0.3) })
	if err != nil {
		return res, err
	}
	var shares []float64
	for _, p := range res.Pairs {
		shares = append(shares, p.Ours.CPU.Seconds()/p.Theirs.CPU.Seconds())
	}
	share := atMost(median(shares), 0.12)
	share.Target = "processor: " + share.Target
	res.Checks = append(res.Checks, share)
	res.Note = "The layers' objects lie in the registry, published by `gitboot image publish`, with kernel and initramfs."
	return res, nil
}

// trustBuilder makes a key, and has the config repo trust it.
func (w *world) trustBuilder(ctx context.Context) error {
	key := w.site.path("objects.key")
	public := w.site.path("objects.pub")
	if _, err := script(ctx, fmt.Sprintf("openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out %[1]s && chmod 600 %[1]s && openssl pkey -in %[1]s -pubout -out %[2]s", key, public)); err != nil {
		return err
	}
	data, err := os.ReadFile(public)
	if err != nil {
		return err
	}
	if err := w.repo.Write("objects.pub", string(data)); err != nil {
		return err
	}
	_, err = w.repo.Commit(ctx, "Trust the builder")
	return err
}

// publish has a gitboot publish an image's objects, with the key that is trusted.
func (w *world) publish(ctx context.Context, gitboot, ref string, flags ...string) error {
	_, err := command(ctx, append([]string{gitboot, "image", "publish", ref, "--insecure", "--key", w.site.path("objects.key"), "--scratch", w.site.path()}, flags...)...)
	return err
}
