package main

import (
	"context"
	"fmt"

	"github.com/gitboot/gitboot/tests/lab"
)

// coldLimit compares a whole first run, from nothing to a bootable stage, with
// the least that it could cost: unpacking the blob and packing it again.
func coldLimit(compression string, limit float64) func(context.Context, *site, row) (result, error) {
	return func(ctx context.Context, s *site, r row) (result, error) {
		w, blob, err := s.coldWorld(ctx, compression)
		if err != nil {
			return result{}, err
		}
		text := fmt.Sprintf("%s -dc blob | zstd -3 -T2 -q > packed", compression)
		theirs := side{
			command: text,
			prepare: func(context.Context, int) error { return fresh(s.path("limit")) },
			run: func(ctx context.Context, _ int) (usage, error) {
				return script(ctx, fmt.Sprintf("%s -dc %s | zstd -3 -T2 -q > %s", compression, blob, s.path("limit", "packed")))
			},
		}
		return timed(ctx, r, w.ours(w.cold), theirs, func(ratio float64) check { return atMost(ratio, limit) })
	}
}

// coldWorld makes a world of the plain image, and saves its blob.
func (s *site) coldWorld(ctx context.Context, compression string) (*world, string, error) {
	ref, err := s.image(ctx, compression)
	if err != nil {
		return nil, "", err
	}
	blob := s.path("blob." + compression)
	if err := saveBlob(ctx, ref, blob); err != nil {
		return nil, "", err
	}
	w, err := s.newWorld(ctx, ref, "")
	return w, blob, err
}

func coldDarch(ctx context.Context, s *site, r row) (result, error) {
	w, _, err := s.coldWorld(ctx, "gzip")
	if err != nil {
		return result{}, err
	}
	d := s.newDarch(w)
	theirs := d.side(func(context.Context, int) error { return d.forget() })
	return timed(ctx, r, w.ours(w.cold), theirs, func(ratio float64) check { return fasterBy(ratio, 12) })
}

// memory compares the peaks of two images of five layers each, because what is
// packed side by side is what memory goes into: 350 MB and 2 GB in all.
func memory(ctx context.Context, s *site, r row) (result, error) {
	small, err := s.sizedWorld(ctx, "small", 10<<20)
	if err != nil {
		return result{}, err
	}
	large, err := s.sizedWorld(ctx, "large", 430<<20)
	if err != nil {
		return result{}, err
	}
	pairs, err := runPairs(ctx, r.pairs, large.peaking(), small.peaking())
	if err != nil {
		return result{}, err
	}
	selves := func(of func(pair) usage) float64 {
		return medianOf(pairs, func(p pair) int64 { return of(p).Peak.Self })
	}
	sums := func(of func(pair) usage) float64 {
		return medianOf(pairs, func(p pair) int64 { return of(p).Peak.Sum })
	}
	children := func(of func(pair) usage) float64 {
		return medianOf(pairs, func(p pair) int64 { return of(p).Peak.Child })
	}
	words := func(of func(pair) usage) string {
		return fmt.Sprintf("%s; with its children %s; largest tar2sqfs %s",
			megabytes(int64(selves(of))), megabytes(int64(sums(of))), megabytes(int64(children(of))))
	}
	ratio := selves(pair.ours) / selves(pair.theirs)
	return result{
		Ours: words(pair.ours), Theirs: words(pair.theirs),
		Checks: []check{
			{"the same within a tenth", fmt.Sprintf("%.3g times", ratio), ratio >= 0.9 && ratio <= 1.1},
			{"under 100 MB, children included", megabytes(int64(sums(pair.ours))), sums(pair.ours) < 100e6},
		},
		Commands: []string{shown("reconcile --once"), shown("reconcile --once")},
		Note:     "Both images have five layers, the lowest being Debian. Peaks are VmHWM and sums of VmRSS from /proc, sampled every 10 ms.",
		Pairs:    pairs,
	}, nil
}

// memoryGeneric is the peak of a pull whose initramfs is made of thousands of
// modules.
func memoryGeneric(ctx context.Context, s *site, r row) (result, error) {
	kernel, err := s.genericKernel(ctx)
	if err != nil {
		return result{}, err
	}
	ref, _, err := s.registry.Push(ctx, "os:generic", nil, lab.Layer{Path: kernel.tar})
	if err != nil {
		return result{}, err
	}
	w, err := s.newWorld(ctx, ref, "")
	if err != nil {
		return result{}, err
	}
	pairs, err := runAlone(ctx, r.pairs, w.peaking())
	if err != nil {
		return result{}, err
	}
	peak := medianOf(pairs, func(p pair) int64 { return p.Ours.Peak.Sum })
	return result{
		Ours: megabytes(int64(peak)), Theirs: "100 MB",
		Checks:   []check{{"under 100 MB, children included", megabytes(int64(peak)), peak < 100e6}},
		Commands: []string{shown("reconcile --once")},
		Pairs:    pairs,
	}, nil
}

func medianOf(pairs []pair, value func(pair) int64) float64 {
	var v []float64
	for _, p := range pairs {
		v = append(v, float64(value(p)))
	}
	return median(v)
}

// peaking is a cold run whose memory is sampled.
func (w *world) peaking() side {
	return side{prepare: w.cold, run: func(ctx context.Context, _ int) (usage, error) {
		return withPeak(ctx, w.args("reconcile", "--once")...)
	}}
}
