package main

import (
	"cmp"

	"github.com/spf13/cobra"

	"github.com/gitboot/gitboot/cmd/gitboot/internal/screen"
	"github.com/gitboot/gitboot/cmd/gitboot/internal/usage"
	"github.com/gitboot/gitboot/reconciler"
	"github.com/gitboot/gitboot/reconciler/plan"
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
