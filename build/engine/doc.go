// Package engine turns what a config repo declares of an image into an image.
//
// # Use
//
//	e, err := engine.NewBuildah(engine.BuildahOptions{Dir: stage + "/engine", …})
//	base, err := engine.ImportImage(ctx, e, pulled, platform, temp, reserve)
//	img, err := engine.Run(ctx, e, prepared, engine.Options{Base: base.ID, …})
//
// What is executed was rendered by package recipe, which decides before
// whether anything is to be built at all.
//
// # Engines
//
// An Engine holds base images and what was built, and hands out layers as
// uncompressed tars. Nothing is pushed or compressed between an engine and the
// stage. Every engine passes the tests in engine_test.go. Buildah is run here;
// BuildKit is a daemon somewhere, spoken to by a program of our own (package
// speaker).
//
// # What it does not do
//
// It decides neither when to build nor what is kept: package reconciler does.
package engine
