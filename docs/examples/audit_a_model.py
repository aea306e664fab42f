"""Audit any model: shifts, continuity, scale and cost, with a verdict for each."""

import torch
from torch import nn

import wavevit
from wavevit.auditing import Samples

torch.manual_seed(0)
layers = [nn.Conv2d(3, 16, 8, stride=8), nn.GELU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()]
model = nn.Sequential(*layers, nn.Linear(16, 10))  # replace by any nn.Module
few = Samples(pictures=4, sensitivity_pictures=4, worst_radius=1)  # the default uses more
report = wavevit.audit(model.eval(), size=64, samples=few)
print(report.table())
# report.to_html("audit.html") writes a page, report.to_json("audit.json") all numbers.
