"""How alike are the layers of your own network, on your own data?  Here a ResNet-18 with random weights on noise."""

import torch
from torch.utils.data import DataLoader, TensorDataset
from torchvision.models import resnet18

import akpsim
from akpsim.families import capture

torch.manual_seed(0)
network = resnet18(weights=None)
loader = DataLoader(TensorDataset(torch.randn(32, 3, 64, 64)), batch_size=16)

seen = capture(network, loader, ["layer1.0.relu", "layer2", "layer4", "avgpool"])  # relu is called twice, in place
similarity = akpsim.compare(seen, metric="cka_debiased", axis="layer")
print(similarity.round(3).to_pandas())

pair = akpsim.significance({name: seen[name] for name in ("layer1.0.relu#2", "layer4")}, metric="cka_debiased")
print(
    f"layer1.0.relu#2 and layer4: {pair.similarity[0, 1]:.3f}, z = {pair.z[0, 1]:.1f} against samples in random order"
)
