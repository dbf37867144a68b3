package main

import (
	"cmp"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/gitboot/gitboot/cmd/gitboot/internal/screen"
	"github.com/gitboot/gitboot/cmd/gitboot/internal/usage"
	"github.com/gitboot/gitboot/image"
	"github.com/gitboot/gitboot/internal/progress"
	"github.com/gitboot/gitboot/reconciler"
	"github.com/gitboot/gitboot/reconciler/plan"
	"github.com/gitboot/gitboot/reconciler/upkeep"
	"github.com/gitboot/gitboot/spec"
)

func newImage(a *app) *cobra.Command {
	return usage.Group("image", "Look at the images of this machine, and build them", newImageList(a), newImageInspect(a), newImageTree(a),
		newImageRender(a), newImageBuild(a), newImageLog(a), newImageDiff(a), newImageExport(a), newImagePublish(a))
}

type imageJSON struct {
	Name   string `json:"name"`
	Kind   string `json:"kind"`
	Source string `json:"source"`
	Digest string `json:"digest"`
}

func newImageList(a *app) *cobra.Command {
	c := &cobra.Command{Use: "list", Short: "List the images that the config repo wants here", Args: usage.NoArgs,
		Example: "  gitboot image list --machine laptop"}
	asJSON := jsonFlag(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		return a.looking(c, nil, func(r *reconciler.Reconciler) error { return listImages(c, r, *asJSON) })
	}
	return c
}

func listImages(c *cobra.Command, r *reconciler.Reconciler, asJSON bool) error {
	w, err := r.Wanted(c.Context())
	if err != nil {
		return err
	}
	status, err := r.Status(c.Context())
	if err != nil {
		return err
	}
	digests := map[string]string{}
	for _, img := range status.Images {
		digests[img.Name] = img.Digest
	}
	images, rows := []imageJSON{}, [][]any{}
	for _, img := range w.Wants.Images {
		kind, from := origin(img)
		images = append(images, imageJSON{img.Name, kind, from, digests[img.Name]})
		rows = append(rows, []any{img.Name, kind, from, cmp.Or(plan.Short(digests[img.Name]), "not staged")})
	}
	if asJSON {
		return screen.JSON(c.OutOrStdout(), images)
	}
	return screen.Table(c.OutOrStdout(), "IMAGE\tKIND\tSOURCE\tDIGEST", rows)
}

func origin(img spec.Image) (kind, from string) {
	switch {
	case img.Pull != nil:
		return "pull", img.Pull.Ref
	case img.Archive != nil:
		return "archive", cmp.Or(img.Archive.Path, img.Archive.URL)
	case img.Build != nil:
		return "build", img.Build.From
	}
	return "", ""
}

type inspection struct {
	Name   string            `json:"name"`
	Digest string            `json:"digest"`
	Labels map[string]string `json:"labels"`
	Layers []layerJSON       `json:"layers"`
}

type layerJSON struct {
	DiffID    string `json:"diffID"`
	Digest    string `json:"digest"`
	MediaType string `json:"mediaType"`
	Bytes     int64  `json:"bytes"`
	Staged    bool   `json:"staged"`
}

func newImageInspect(a *app) *cobra.Command {
	c := &cobra.Command{Use: "inspect NAME", Short: "Show what an image is at its source now", Args: usage.Args(cobra.ExactArgs(1)), ValidArgsFunction: a.completeImages(false),
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
	staged, err := upkeep.Staged(set.StageDir(), img)
	if err != nil {
		return out, err
	}
	for i, l := range img.Layers {
		out.Layers = append(out.Layers, layerJSON{l.DiffID, l.Digest, l.MediaType, l.Size, staged[i]})
	}
	return out, nil
}

func printInspection(c *cobra.Command, in inspection) error {
	w := c.OutOrStdout()
	fmt.Fprintf(w, "%s %s\n", in.Name, in.Digest)
	var rows [][]any
	for _, l := range in.Layers {
		rows = append(rows, []any{plan.Short(l.DiffID), progress.Bytes(l.Bytes), cmp.Or(l.MediaType, "tar"), screen.Mark(l.Staged)})
	}
	return screen.Table(w, "LAYER\tSIZE\tTYPE\tSTAGED", rows)
}
