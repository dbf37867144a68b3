package main

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"github.com/gitboot/gitboot/cmd/gitboot/internal/screen"
	"github.com/gitboot/gitboot/cmd/gitboot/internal/usage"
	"github.com/gitboot/gitboot/image"
	"github.com/gitboot/gitboot/internal/progress"
	"github.com/gitboot/gitboot/reconciler"
	"github.com/gitboot/gitboot/reconciler/plan"
	"github.com/gitboot/gitboot/reconciler/readymade"
	"github.com/gitboot/gitboot/reconciler/upkeep"
)

type inspection struct {
	Name   string            `json:"name"`
	Digest string            `json:"digest"`
	Labels map[string]string `json:"labels"`
	Layers []layerJSON       `json:"layers"`
	// Kernels are those that are published beside it.
	Kernels []madeKernelJSON `json:"kernels,omitempty"`
}

type layerJSON struct {
	DiffID    string `json:"diffID"`
	Digest    string `json:"digest"`
	MediaType string `json:"mediaType"`
	Bytes     int64  `json:"bytes"`
	Staged    bool   `json:"staged"`
	CreatedBy string `json:"createdBy,omitempty"`
	// Made is what was published of it and is believed here.
	Made *madeJSON `json:"made,omitempty"`
}

type madeJSON struct {
	Object    string `json:"object"`
	Bytes     int64  `json:"bytes"`
	Rewriter  int    `json:"rewriter"`
	Squasher  string `json:"squasher"`
	Usable    bool   `json:"usable"` // layers are rewritten in the same way here
	Published string `json:"published"`
	SignedBy  string `json:"signedBy"`
}

type madeKernelJSON struct {
	Version   string `json:"version"`
	Path      string `json:"path"`
	Bytes     int64  `json:"bytes"` // with its initramfs
	Published string `json:"published"`
	SignedBy  string `json:"signedBy"`
}

func newImageInspect(a *app) *cobra.Command {
	c := &cobra.Command{Use: "inspect NAME", Short: "Show what an image is at its source now", Args: usage.Args(cobra.ExactArgs(1)), ValidArgsFunction: a.completeImages(false),
		Long: `inspect asks where an image comes from for its digest, its layers and their sizes. Of
an image in a registry it also says what was published beside it and is believed here: which
layers come ready-made and how large they are then, with which kernel, and whose keys have
signed that. What is not believed is told as a warning, with the reason. What layers were
created by is what the image's history says; of layers by packages it is which packages are
in them, all of which --json shows.`,
		Example: "  gitboot image inspect desktop --json"}
	asJSON := jsonFlag(c)
	c.RunE = func(c *cobra.Command, names []string) error {
		show := screen.New(c.ErrOrStderr())
		return a.looking(c, show, func(r *reconciler.Reconciler) error {
			img, err := r.Inspect(c.Context(), names[0])
			if err = errors.Join(err, show.Close()); err != nil {
				return err
			}
			out, err := a.inspect(names[0], img)
			if err != nil {
				return err
			}
			if *asJSON {
				return screen.JSON(c.OutOrStdout(), out)
			}
			return printInspection(c, out)
		})
	}
	return c
}

func (a *app) inspect(name string, img *image.Image) (inspection, error) {
	set, err := a.settings()
	if err != nil {
		return inspection{}, err
	}
	out := inspection{Name: name, Digest: img.Digest, Labels: img.Labels, Layers: []layerJSON{}}
	if out.Labels == nil {
		out.Labels = map[string]string{} // what is built here gets its own when it is pushed
	}
	staged, err := upkeep.Staged(set.StageDir(), img)
	if err != nil {
		return out, err
	}
	for i, l := range img.Layers {
		shown := layerJSON{DiffID: l.DiffID, Digest: l.Digest, MediaType: l.MediaType, Bytes: l.Size, Staged: staged[i], CreatedBy: l.CreatedBy}
		if m := l.Made; m != nil {
			shown.Made = &madeJSON{m.SHA256, m.Size, m.Rewriter, m.Squasher, readymade.Take(m) != nil, m.Published, m.SignedBy}
		}
		out.Layers = append(out.Layers, shown)
	}
	for _, k := range img.Kernels {
		out.Kernels = append(out.Kernels, madeKernelJSON{k.Version, k.Path, k.Kernel.Kernel.Size + k.Initramfs.Size, k.Published, k.SignedBy})
	}
	return out, nil
}

// brief is as much of what created a layer as fits beside the rest.
func brief(s string) string {
	const limit = 80
	if r := []rune(s); len(r) > limit {
		return string(r[:limit-1]) + "…"
	}
	return s
}

func printInspection(c *cobra.Command, in inspection) error {
	w := c.OutOrStdout()
	fmt.Fprintf(w, "%s %s\n", in.Name, in.Digest)
	var rows [][]any
	header := "LAYER\tSIZE\tTYPE\tREADY-MADE\tSTAGED"
	said := slices.ContainsFunc(in.Layers, func(l layerJSON) bool { return l.CreatedBy != "" })
	if said {
		header += "\tCREATED BY"
	}
	for _, l := range in.Layers {
		made := ""
		if l.Made != nil {
			made = progress.Bytes(l.Made.Bytes) + ", signed by " + l.Made.SignedBy
			if !l.Made.Usable {
				made += ", not as it is made here"
			}
		}
		rows = append(rows, []any{plan.Short(l.DiffID), progress.Bytes(l.Bytes), cmp.Or(l.MediaType, "tar"), made, screen.Mark(l.Staged)})
		if said {
			rows[len(rows)-1] = append(rows[len(rows)-1], brief(l.CreatedBy))
		}
	}
	if err := screen.Table(w, header, rows); err != nil {
		return err
	}
	for _, k := range in.Kernels {
		fmt.Fprintf(w, "kernel %s with its initramfs is ready-made: %s, signed by %s\n", k.Version, progress.Bytes(k.Bytes), k.SignedBy)
	}
	return nil
}
