"""How the transforms are computed: linear maps, their operators, plain operations. Not public."""
