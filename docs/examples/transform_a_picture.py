"""Haar pyramid of a photograph: energy of the bands, reconstruction, and compression."""

from wavevit.data import load_photograph
from wavevit.wavelets import wavedec2, waverec2

photograph = load_photograph("camera")[None, None].double()  # (1, 1, 256, 256), in [0, 1]
approx, details = wavedec2(photograph, "haar", level=3)  # details from coarse to fine
energy = photograph.square().sum()

print(
    f"approximation {tuple(approx.shape[2:])}: {approx.square().sum() / energy:.2%} of the energy"
)
for bands in details:  # (1, 1, 3, h, w): horizontal, vertical, diagonal
    shares = bands.square().sum((0, 1, 3, 4)) / energy
    print(f"details {tuple(bands.shape[3:])}: " + ", ".join(f"{share:.2%}" for share in shares))

back = waverec2((approx, details), "haar")
print(f"reconstructed to 1e-12: {bool((back - photograph).abs().max() < 1e-12)}")

kept = [bands * (bands.abs() > 0.1) for bands in details]
share = (sum(int((bands != 0).sum()) for bands in kept) + approx.numel()) / photograph.numel()
loss = (waverec2((approx, kept), "haar") - photograph).square().mean().sqrt()
print(f"{share:.1%} of the coefficients: error {loss * 255:.1f} grey levels")
