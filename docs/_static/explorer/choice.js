shiftExplorer.choose({
 "models": [["vit", "Plain ViT"], ["vit-phase_lock", "ViT, phase-locked"], ["mirror_lock", "ViT, locked within a patch"], ["haar_vit", "ViT on Haar packets"], ["dtcwt_tokens", "ViT on dual-tree magnitudes"], ["alias_free", "Alias-free pyramid"]],
 "photographs": ["cat", "coffee", "astronaut", "rocket", "camera", "coins", "hubble", "brick"]
});
