// Package engine has images made by engines, and says what an engine must do.
//
// # Use
//
//	e, err := engines.Open("buildah", engines.Options{Dir: stage + "/engine", …})
//	base, err := engine.ImportImage(ctx, e, pulled, platform, temp, reserve)
//	img, err := engine.Run(ctx, e, prepared, engine.Options{Base: base.ID, …})
//
// What is executed was rendered by package recipe, which decides before
// whether anything is to be built at all. Who reads an image's layers while
// another may remove some holds a lease:
//
//	release, err := engine.Reading(ctx, stage+"/engine")
//	img, err := e.Image(ctx, id)
//	… img.Layers[0].Open(ctx) …
//	err = release()
//
// # Engines
//
// An Engine holds base images and what was built, and hands out layers as
// uncompressed tars. Nothing is pushed or compressed between an engine and the
// stage. Each is a package in this folder and passes enginetest; package engines
// opens them by name.
//
// # What it does not do
//
// It decides neither when to build nor what is kept: package reconciler does.
package engine
